"""Reads and validates request bodies: bounded in size and rows, refused field by field."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import from_json
from starlette.types import Receive

from deployments.api.endpoint import FamilyBody, InferenceEndpoint
from deployments.api.errors import InvalidError, TooLargeError, TooSlowError
from deployments.gateway.large_requests.bodies import OVER_BYTES, OddBodyError, slices
from deployments.gateway.large_requests.turns import Turns

MOST_BYTES = 4 * 1024 * 1024
MOST_ROWS = 1000
# Of all rests while a body is read: its deadline is not known yet, and the usual one is a second.
MOST_REST_SECONDS = 0.25
GONE = 499  # as web servers log a client that left
UNFIT = "The body does not fit the contract"
TOO_MANY_ROWS = f"List should have at most {MOST_ROWS} items, and this one has more"
# To name a hundred thousand of them takes the loop seconds, and makes an answer of megabytes.
MOST_FAULTS = 2000
# The front holds the first part of a body and bounds its time; this is for the rest of a large one.
MOST_SECONDS = 20.0


class ClientGoneError(Exception):
    """The client closed the connection before its body was whole."""


async def read_body(
    receive: Receive,
    within_seconds: float = MOST_SECONDS,
    most_bytes: int = MOST_BYTES,
    large: Callable[[], None] = lambda: None,
) -> bytes:
    """Read the whole body; what came with its head costs no timer.

    `large` is called as soon as it is known to be large, and may refuse it.
    """
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGoneError
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        _bounded(len(body), most_bytes)
        return body
    try:
        async with asyncio.timeout(within_seconds):
            return await _rest_of(body, receive, most_bytes, large)
    except TimeoutError:
        late = f"The body took over {within_seconds:g} s to arrive"
        raise TooSlowError(late, retry_after_s=1) from None


async def _rest_of(
    body: bytes, receive: Receive, most_bytes: int, large: Callable[[], None]
) -> bytes:
    pieces = [body]
    size = len(body)
    more = True
    while more:
        _bounded(size, most_bytes)
        if size > OVER_BYTES:
            large()
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        more = message.get("more_body", False)
    _bounded(size, most_bytes)
    return b"".join(pieces)


def _bounded(size: int, most_bytes: int) -> None:
    if size > most_bytes:
        raise TooLargeError(f"The body is over {most_bytes} bytes: send it in parts")


class BodyReader:
    """Validates the bodies of one family: one row, or a list under `rows`."""

    def __init__(self, family: InferenceEndpoint) -> None:
        self._bulk = family.bulk
        self.one: type[FamilyBody] = family.body
        row: Any = family.body
        rows: Any = Annotated[list[row], Field(min_length=1, max_length=MOST_ROWS)]
        self.many: type[BaseModel] = create_model(
            f"{family.body.__name__}Rows",
            __config__=ConfigDict(extra="forbid"),
            __doc__="Many rows in one body, answered as a list in the same order.",
            rows=(rows, ...),
        )

    async def read_in_turns(self, raw: bytes, turns: Turns) -> tuple[Sequence[FamilyBody], bool]:
        """Read as `read` does; a large body leaves the loop to others now and then."""
        if len(raw) <= OVER_BYTES:
            turns.note_short()
            return self.read(raw)
        try:
            return await self._read_slices(raw, turns), True
        except OddBodyError:
            self._check_bulk(raw)
            return self.read(raw)

    async def _read_slices(self, raw: bytes, turns: Turns) -> Sequence[FamilyBody]:
        rows: list[FamilyBody] = []
        errors: list[Any] = []
        at, rest_left = 0, MOST_REST_SECONDS
        for part, count in slices(raw, self._bulk):
            started = time.perf_counter()
            self._check_bulk(part)
            if at + count > MOST_ROWS:  # as many as a million: they are not even counted
                raise InvalidError(UNFIT, {"rows": TOO_MANY_ROWS})
            try:
                rows += self.many.model_validate_json(part).rows  # type: ignore[attr-defined] # made above
            except ValidationError as refusal:
                errors += _moved(refusal, at)
            at += count
            _listable(len(errors))
            rest_left -= await turns.give(time.perf_counter() - started, rest_left)
        if errors:
            raise InvalidError(UNFIT, fields_of(errors))
        return rows

    def _check_bulk(self, raw: bytes) -> None:
        """Refuse what would hold the loop for seconds while it is read in one piece."""
        if not self._bulk.holds(raw):
            raise InvalidError(
                UNFIT,
                {
                    "body": (
                        f"The body holds over {self._bulk.lists} lists and objects, or over "
                        f"{self._bulk.strings} strings, and cannot be read row by row: send "
                        "fewer of them in one body, as rows in a list under the name rows "
                        "and nothing else"
                    )
                },
            )

    def read(self, raw: bytes) -> tuple[Sequence[FamilyBody], bool]:
        """Give the rows, and whether they came as a list (and so must leave as one)."""
        try:
            if _has_rows(raw):
                return self.many.model_validate_json(raw).rows, True  # type: ignore[attr-defined] # made above
            return (self.one.model_validate_json(raw),), False
        except ValidationError as refusal:
            raise invalid(refusal) from refusal


def _has_rows(raw: bytes) -> bool:
    if b'"rows"' not in raw:
        return False
    try:
        # By the parser that validates: what it reads as rows, NaN among them, is judged as rows.
        content = from_json(raw)
    except ValueError:
        return False  # the validation of a single row says best what is wrong
    return isinstance(content, dict) and "rows" in content


def _moved(refusal: ValidationError, rows: int) -> list[Any]:
    """Give the errors of a slice with the numbers that its rows have in the body."""
    found = _errors_of(refusal)
    for error in found:
        if len(error["loc"]) < 2:  # noqa: PLR2004 - rows, number; else the JSON itself is broken
            raise OddBodyError
        name, number, *rest = error["loc"]
        error["loc"] = (name, number + rows, *rest)
    return found


def invalid(refusal: ValidationError) -> InvalidError:
    return InvalidError(UNFIT, fields_of(_errors_of(refusal)))


def _listable(faults: int) -> None:
    if faults > MOST_FAULTS:
        raise InvalidError(
            UNFIT, {"body": f"There are more than {MOST_FAULTS} faults; the others are not listed"}
        )


def _errors_of(refusal: ValidationError) -> list[Any]:
    _listable(refusal.error_count())
    errors: list[Any] = refusal.errors(
        include_url=False, include_context=False, include_input=False
    )
    return errors


def fields_of(errors: Sequence[Any]) -> dict[str, str]:
    """Name each culprit by its path in the body, with what is wrong with it."""
    return {
        # Of a check of our own the words are enough; how it was raised is no news to a client.
        ".".join(str(part) for part in error["loc"]) or "body": error["msg"].removeprefix(
            "Value error, "
        )
        for error in errors
    }
