"""Asks one server over HTTP: pooled, bounded in time and size, patient where that helps.

Every URL that an operator states is asked here and nowhere else: at no address that the guard
refuses, and without following anybody who sends elsewhere.
"""

import asyncio
import os
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final, Literal, NamedTuple

import aiohttp

from features.errors import (
    KeyRefusedError,
    SourceAwayError,
    SourceRefusedError,
    TooMuchAskedError,
)
from features.sources.addresses import AddressGuard, RefusedAddressError
from features.sources.http.key import Key
from features.sources.http.pauses import Pauses, retry_after_seconds

Fields = Sequence[tuple[str, str]]

_MAY_BE_ASKED_AGAIN: Final = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server may cost us."""

    answer_seconds: float = 30.0
    most_bytes: int = 32 * 1024 * 1024
    at_once: int = 4
    attempts: int = 3
    pause_seconds: float = 0.5
    longest_pause_seconds: float = 30.0


DEFAULT_LIMITS: Final = Limits()


class Answer(NamedTuple):
    """What the server said, whatever its status; names of headers are in small letters."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class _Question(NamedTuple):
    method: str
    url: str
    fields: Fields
    body: bytes | None

    @property
    def is_form(self) -> bool:
        return self.method == "POST" and self.body is None

    @property
    def what(self) -> str:
        """Name what is asked, for a message."""
        return self.url.partition("://")[2].partition("/")[2] or "its answer"


class _AskAgainError(Exception):
    """Nothing came, but the next attempt may bring it."""

    def __init__(self, reason: str, wait_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds


class Connection:
    """One server's connections, its key and the patience with it."""

    def __init__(
        self,
        source: str,
        url: str,
        *,
        key: Key | None,
        verify_tls: bool,
        limits: Limits,
        random: Callable[[], float],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._source = source
        self._key = key
        self._headers = headers or {}
        self._limits = limits
        self._pauses = Pauses(limits.pause_seconds, limits.longest_pause_seconds, random)
        self._turns = asyncio.Semaphore(limits.at_once)
        self._url = url.rstrip("/")
        self.address = _without_user(self._url)
        """The url as it may be told: without a user or a password."""
        self._trust = _trust(verify=verify_tls and url.startswith("https:"))
        self._guard = AddressGuard()
        self._opened: aiohttp.ClientSession | None = None
        self._is_closed = False

    async def ask(
        self,
        method: Literal["GET", "POST"],
        path: str,
        fields: Fields,
        body: bytes | None = None,
    ) -> Answer:
        """Give the answer of any status that asking again would not change.

        The fields of a POST are a form, unless there is a body: then they are in the address.
        """
        question = _Question(method, f"{self._url}/{path}", fields, body)
        async with self._turns:
            return await self._ask_patiently(question)

    @property
    def key_file(self) -> Path | None:
        return None if self._key is None else self._key.file.path

    async def close(self) -> None:
        """End it for good: a question that waits for its turn opens nothing any more."""
        self._is_closed = True
        if self._opened is not None:
            await self._opened.close()

    async def _ask_patiently(self, question: _Question) -> Answer:
        for attempt in range(1, self._limits.attempts + 1):
            try:
                return await self._ask_once(question)
            except _AskAgainError as error:
                wait = self._pauses.before_next(attempt, error.wait_seconds)
                if attempt == self._limits.attempts or wait is None:
                    raise SourceAwayError(
                        self._source,
                        f"{error}, {attempt} times asked. See whether its url is right, and "
                        "whether it runs and can be reached from here.",
                    ) from None
            await asyncio.sleep(wait)
        raise AssertionError  # the last attempt returned or raised

    async def _ask_once(self, question: _Question) -> Answer:
        secret = await self._secret()
        try:
            async with asyncio.timeout(self._limits.answer_seconds):
                return await self._exchange(question, secret)
        except TimeoutError:
            # Not again: the server may still be busy with the first one.
            seconds = self._limits.answer_seconds
            raise SourceAwayError(
                self._source,
                f"{question.what} at {self.address} took over {seconds:g} s. See whether it is "
                "overloaded, and whether something else hangs at its url.",
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._broken(error) from None
        except ValueError:
            # What it says holds the url, and that may hold a password.
            raise SourceRefusedError(
                self._source, "its url cannot be asked. It may hold no password."
            ) from None

    async def _exchange(self, question: _Question, secret: str) -> Answer:
        asked = self._session().request(
            question.method,
            question.url,
            headers=self._question_headers(secret),
            ssl=self._trust,
            # Another place would be told the key.
            allow_redirects=False,
            data=list(question.fields) if question.is_form else question.body,
            params=None if question.is_form else list(question.fields),
        )
        async with asked as answer:
            body = await self._bounded(answer)
            headers = {name.lower(): value for name, value in answer.headers.items()}
        if answer.status in _MAY_BE_ASKED_AGAIN and not _gave_up_on_the_query(body):
            wait = retry_after_seconds(headers.get("retry-after"), headers.get("date"))
            raise _AskAgainError(f"it answered {answer.status}", wait)
        return Answer(answer.status, _without(secret, body), headers)

    def _question_headers(self, secret: str) -> dict[str, str]:
        """Give the headers of a question."""
        key = {} if self._key is None else {self._key.header: f"{self._key.scheme}{secret}"}
        return {**self._headers, **key}

    def _session(self) -> aiohttp.ClientSession:
        if self._is_closed:
            raise SourceAwayError(self._source, "it is disconnected.")
        if self._opened is None:
            self._opened = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._limits.at_once, socket_factory=self._guard.open
                ),
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._opened

    async def _bounded(self, answer: aiohttp.ClientResponse) -> bytes:
        parts, size = [], 0
        async for part in answer.content.iter_any():
            parts.append(part)
            size += len(part)
            if size > self._limits.most_bytes:
                answer.close()  # rather than read the rest, to use the connection again
                raise TooMuchAskedError(
                    self._source, f"its answer is over {self._limits.most_bytes} bytes"
                )
        return b"".join(parts)

    async def _secret(self) -> str:
        if self._key is None:
            return ""
        try:
            return await asyncio.to_thread(self._key.file.read)
        except (OSError, ValueError) as error:
            raise KeyRefusedError(self._source, f"its {self._key.field}: {error}") from None

    def _broken(self, error: Exception) -> Exception:
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return SourceRefusedError(
                self._source,
                f"its certificate is not trusted ({error.certificate_error}). Install the "
                "authority that signed it, or set verify_tls to false.",
            )
        if isinstance(error, aiohttp.ClientResponseError) or _is_garbled(error):
            return SourceRefusedError(
                self._source, "its answer cannot be read. See what stands at its url."
            )
        if isinstance(error, aiohttp.ClientConnectorError):
            if isinstance(error.os_error, RefusedAddressError):
                return SourceRefusedError(self._source, f"{error.os_error.reason}.")
            return _AskAgainError(f"nothing answers at {self.address} ({_why(error)})")
        return _AskAgainError(f"{self.address} broke the connection ({type(error).__name__})")


def _without_user(url: str) -> str:
    scheme, _, rest = url.rpartition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"


def _why(error: aiohttp.ClientConnectorError) -> str:
    """Say what the system says, without the addresses that it was tried with."""
    cause = error.os_error
    return os.strerror(cause.errno) if cause.errno and cause.errno > 0 else str(error.strerror)


def _trust(*, verify: bool) -> ssl.SSLContext | bool:
    # The system's authorities, where a company installs its own. Reading them takes a while.
    return ssl.create_default_context() if verify else False


def _is_garbled(error: Exception) -> bool:
    cause = error.__cause__ or error.__context__
    return isinstance(cause, aiohttp.http_exceptions.ContentEncodingError)


def _without(secret: str, body: bytes) -> bytes:
    """Take our key out of what a server echoes: reasons are quoted in messages and logs."""
    return body.replace(secret.encode(), b"***") if secret else body


def _gave_up_on_the_query(body: bytes) -> bool:
    # 503 with these is a query that took too long, and will again.
    return b'"errorType":"timeout"' in body or b'"errorType":"canceled"' in body
