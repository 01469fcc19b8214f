import asyncio
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from deployments.api.errors import InvalidError, TooLargeError, TooSlowError
from deployments.api.tail import TAIL, TailBody
from deployments.gateway.bodies.reader import (
    MOST_BYTES,
    MOST_FAULTS,
    MOST_ROWS,
    BodyReader,
    ClientGoneError,
    read_body,
)
from deployments.gateway.large_requests.turns import Turns

READER = BodyReader(TAIL)


class Client:
    """A client that sends these messages, and is heard no more after them."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self._messages: Iterator[dict[str, Any]] = iter(messages)
        self.heard = 0

    async def __call__(self) -> dict[str, Any]:
        self.heard += 1
        return next(self._messages)


def piece(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


GONE = {"type": "http.disconnect"}


async def test_a_body_is_read_whole_however_it_is_sent() -> None:
    assert await read_body(Client(piece(b'{"load":1}', more=False))) == b'{"load":1}'
    pieces = [piece(b'{"lo', more=True), piece(b"", more=True), piece(b'ad":1}', more=False)]
    assert await read_body(Client(*pieces)) == b'{"load":1}'
    assert await read_body(Client({"type": "http.request"})) == b""


@pytest.mark.parametrize("before", [[], [piece(b"{", more=True)]])
async def test_a_client_that_leaves_is_not_waited_for(before: list[dict[str, Any]]) -> None:
    with pytest.raises(ClientGoneError):
        await read_body(Client(*before, GONE))


async def test_a_body_that_comes_by_the_byte_is_given_up() -> None:
    async def slow_client() -> dict[str, Any]:
        await asyncio.sleep(0.01)
        return piece(b" ", more=True)

    with pytest.raises(TooSlowError) as refusal:
        await read_body(slow_client, within_seconds=0.1)
    assert refusal.value.status == 408
    assert refusal.value.retry_after_s is not None


async def test_the_largest_body_passes_and_no_larger_one() -> None:
    largest = b" " * MOST_BYTES
    assert len(await read_body(Client(piece(largest, more=False)))) == MOST_BYTES
    halves = [
        piece(largest[: MOST_BYTES // 2], more=True),
        piece(largest[MOST_BYTES // 2 :], more=False),
    ]
    assert len(await read_body(Client(*halves))) == MOST_BYTES
    with pytest.raises(TooLargeError, match=str(MOST_BYTES)):
        await read_body(Client(piece(largest + b" ", more=False)))
    with pytest.raises(TooLargeError):
        await read_body(Client(piece(largest, more=True), piece(b" ", more=False)))


async def test_of_an_endless_body_no_more_is_read_than_is_taken() -> None:
    client = Client(*[piece(b" " * (MOST_BYTES // 4), more=True)] * 1_000)
    with pytest.raises(TooLargeError):
        await read_body(client)
    assert client.heard == 5


@pytest.mark.parametrize("as_rows", [False, True])
async def test_more_faults_than_can_be_listed_are_not_listed(as_rows: bool) -> None:
    row = b"{" + b",".join(b'"%x":0' % at for at in range(MOST_FAULTS + 1)) + b"}"
    raw = b'{"rows":[' + row + b"]}" if as_rows else row
    with pytest.raises(InvalidError) as refusal:
        await READER.read_in_turns(raw, Turns())
    assert refusal.value.fields == {
        "body": "There are more than 2000 faults; the others are not listed"
    }


async def test_a_large_body_rests_no_longer_than_its_deadline_allows() -> None:
    class Busy(Turns):
        rested = 0.0

        def rest_s(self, *_: float) -> float:
            return 0.05

        async def give(self, spent_s: float, at_most_s: float = 0.0) -> float:
            rest = await super().give(spent_s, at_most_s)
            self.rested += rest
            return rest

    turns = Busy()
    row = b'{"load": 0.5, "entity": "' + b"x" * 100 + b'"}'
    await READER.read_in_turns(b'{"rows":[' + b",".join([row] * 1000) + b"]}", turns)
    assert turns.rested == pytest.approx(0.25)


def test_one_row_is_answered_as_one_and_rows_as_a_list() -> None:
    bodies, as_list = READER.read(b'{"entity": "rows", "load": 0.5}')
    assert (list(bodies), as_list) == ([TailBody(entity="rows", load=0.5)], False)
    bodies, as_list = READER.read(b'{"rows": [{"load": 0.5}, {"infra": 1, "entity": "auth"}]}')
    assert list(bodies) == [TailBody(load=0.5), TailBody(infra=1.0, entity="auth")]
    assert as_list
    assert READER.read(b'{"rows": [{"load": 0.5}]}')[1]


def test_a_null_is_a_reading_left_out() -> None:
    bodies, _ = READER.read(b'{"load": 0.5, "infra": null, "slo_ms": null}')
    assert bodies[0] == TailBody(load=0.5)


def culprits(raw: bytes) -> dict[str, str]:
    with pytest.raises(InvalidError) as refusal:
        READER.read(raw)
    assert refusal.value.status == 422
    return refusal.value.fields


BAD_VALUES = {
    "NaN": "finite",
    "Infinity": "finite",
    "-Infinity": "finite",
    "1e999": "finite",
    "1" + 400 * "0": "finite",
    '"0.5"': "number",
    '""': "number",
    "true": "number",
    "false": "number",
    "[0.5]": "number",
    "{}": "number",
    "-0.1": "greater than or equal",
    "1e10": "less than or equal",
}


@pytest.mark.parametrize("name", ["load", "infra", "request_rate", "slo_ms"])
@pytest.mark.parametrize(("value", "why"), BAD_VALUES.items(), ids=str)
def test_a_value_that_is_no_measurement_is_refused_by_name(name: str, value: str, why: str) -> None:
    row = f'{{"error_rate": 0.01, "{name}": {value}}}'
    fields = culprits(row.encode())
    assert list(fields) == [name]
    assert why in fields[name]
    # Among rows it is named with its place.
    rows = f'{{"rows": [{{"load": 0.5}}, {row}]}}'
    assert culprits(rows.encode()) == {f"rows.1.{name}": fields[name]}


def test_a_share_of_requests_cannot_exceed_all_of_them() -> None:
    assert list(culprits(b'{"error_rate": 1.001}')) == ["error_rate"]
    assert READER.read(b'{"error_rate": 1.0}')


@pytest.mark.parametrize(
    ("raw", "names"),
    [
        (b'{"load": 0.5, "colour": "red"}', ["colour"]),
        (b'{"load": 0.5, "Load": 0.5}', ["Load"]),
        (b'{"load": 0.5, "features": [], "model": "x"}', ["features", "model"]),
        (b'{"rows": [{"load": 0.5, "colour": 1}]}', ["rows.0.colour"]),
        (b'{"rows": [{"load": 0.5}], "entity": "auth"}', ["entity"]),
        (b'{"rows": [{"load": 0.5}], "load": 0.5}', ["load"]),
    ],
)
def test_unknown_fields_are_refused(raw: bytes, names: list[str]) -> None:
    fields = culprits(raw)
    assert list(fields) == names
    assert all("Extra inputs" in why for why in fields.values())


@pytest.mark.parametrize(
    "entity", ['""', '" auth"', '"a b"', '"auth\\n"', '"-auth"', '"' + 129 * "a" + '"', "7", "null"]
)
def test_an_entity_that_no_store_could_name_is_refused(entity: str) -> None:
    assert list(culprits(f'{{"load": 0.5, "entity": {entity}}}'.encode())) == ["entity"]


@pytest.mark.parametrize("entity", ["a", "order-gateway", "ns/svc:v1.2_3", 128 * "a"])
def test_an_entity_that_stores_can_name_is_taken(entity: str) -> None:
    bodies, _ = READER.read(orjson.dumps({"load": 0.5, "entity": entity}))
    assert bodies[0].entity == entity


@pytest.mark.parametrize("empty", [b"{}", b'{"entity": "auth", "slo_ms": 20}', b'{"load": null}'])
def test_something_must_be_known(empty: bytes) -> None:
    assert "at least one of load, infra, request_rate, error_rate" in culprits(empty)["body"]
    among = culprits(b'{"rows": [{"load": 1}, ' + empty + b"]}")
    assert list(among) == ["rows.1"]


@pytest.mark.parametrize(
    "raw",
    [b"", b"not json", b"\xff\xfe", b"[]", b"null", b"7", b'{"load": 0.5', b'{"load": 0.5}}']
    + [b'{"rows": ' + nested * 100_000 for nested in (b"[", b'{"rows":')],
)
def test_what_is_no_json_object_is_refused_whole(raw: bytes) -> None:
    assert list(culprits(raw)) == ["body"]


def test_the_number_of_rows_is_bounded_at_both_ends() -> None:
    assert list(culprits(b'{"rows": []}')) == ["rows"]
    assert list(culprits(b'{"rows": {"load": 0.5}}')) == ["rows"]
    row = {"load": 0.5}
    assert len(READER.read(orjson.dumps({"rows": [row] * MOST_ROWS}))[0]) == MOST_ROWS
    assert list(culprits(orjson.dumps({"rows": [row] * (MOST_ROWS + 1)}))) == ["rows"]


def test_every_culprit_is_named_at_once() -> None:
    fields = culprits(b'{"rows": [{"load": "x", "infra": true}, 3, {"error_rate": 2}]}')
    assert list(fields) == ["rows.0.load", "rows.0.infra", "rows.1", "rows.2.error_rate"]
