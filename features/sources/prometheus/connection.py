"""Asks one server over HTTP: pooled, bounded in time and size, patient where that helps."""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Literal, NamedTuple

import httpx

from features.errors import SourceAwayError, SourceRefusedError, TooMuchAskedError
from features.sources.prometheus.pauses import Pauses, asked_for
from features.sources.prometheus.token import TokenFile

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
    """What the server said, whatever its status."""

    status: int
    body: bytes


class _AskAgainError(Exception):
    """Nothing came, but the next attempt may bring it."""

    def __init__(self, reason: str, wait_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds


class Connection:
    """One server's connections, its token and the patience with it."""

    def __init__(
        self,
        source: str,
        url: str,
        *,
        token: TokenFile | None,
        verify_tls: bool,
        limits: Limits,
        random: Callable[[], float],
    ) -> None:
        self._source = source
        self._token = token
        self._limits = limits
        self._pauses = Pauses(limits.pause_seconds, limits.longest_pause_seconds, random)
        self._turns = asyncio.Semaphore(limits.at_once)
        self._client = httpx.AsyncClient(
            base_url=url,
            timeout=limits.answer_seconds,
            limits=httpx.Limits(max_connections=limits.at_once),
            verify=_trust(verify=verify_tls) if url.startswith("https:") else False,
            # A proxy or a .netrc of the machine's is not for what stands in this cluster.
            trust_env=False,
        )

    async def ask(self, method: Literal["GET", "POST"], path: str, fields: Fields) -> Answer:
        """Give the answer of any status that asking again would not change."""
        async with self._turns:
            return await self._ask_patiently(method, path, fields)

    async def close(self) -> None:
        await self._client.aclose()

    async def _ask_patiently(self, method: str, path: str, fields: Fields) -> Answer:
        for attempt in range(1, self._limits.attempts + 1):
            try:
                return await self._ask_once(method, path, fields)
            except _AskAgainError as error:
                wait = self._pauses.before_next(attempt, error.wait_seconds)
                if attempt == self._limits.attempts or wait is None:
                    raise SourceAwayError(
                        self._source, f"{error}, {attempt} times asked. It is asked again later."
                    ) from None
            await asyncio.sleep(wait)
        raise AssertionError  # the last attempt returned or raised

    async def _ask_once(self, method: str, path: str, fields: Fields) -> Answer:
        headers = await self._authorization()
        try:
            async with asyncio.timeout(self._limits.answer_seconds):
                return await self._exchange(method, path, fields, headers)
        except (TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout):
            # Not again: the server may still be busy with the first one.
            seconds = self._limits.answer_seconds
            raise SourceAwayError(
                self._source, f"{path} took over {seconds:g} s. See whether it is overloaded."
            ) from None
        except httpx.TransportError as error:
            raise self._broken(error) from None
        except httpx.DecodingError:
            raise SourceRefusedError(
                self._source, "its answer cannot be decompressed. See what stands at its url."
            ) from None

    async def _exchange(
        self, method: str, path: str, fields: Fields, headers: dict[str, str]
    ) -> Answer:
        request = self._request(method, path, fields, headers)
        answer = await self._client.send(request, stream=True)
        try:
            body = await self._bounded(answer)
        finally:
            await answer.aclose()
        if answer.status_code in _MAY_BE_ASKED_AGAIN and not _gave_up_on_the_query(body):
            wait = asked_for(answer.headers.get("retry-after"), answer.headers.get("date"))
            raise _AskAgainError(f"it answered {answer.status_code}", wait)
        return Answer(answer.status_code, _without_secret(body, headers))

    def _request(
        self, method: str, path: str, fields: Fields, headers: dict[str, str]
    ) -> httpx.Request:
        if method == "GET":
            parameters = httpx.QueryParams(tuple(fields))
            return self._client.build_request(method, path, params=parameters, headers=headers)
        content = str(httpx.QueryParams(tuple(fields))).encode()
        headers = headers | {"content-type": "application/x-www-form-urlencoded"}
        return self._client.build_request(method, path, content=content, headers=headers)

    async def _bounded(self, answer: httpx.Response) -> bytes:
        parts, size = [], 0
        async for part in answer.aiter_bytes():
            parts.append(part)
            size += len(part)
            if size > self._limits.most_bytes:
                raise TooMuchAskedError(
                    self._source, f"its answer is over {self._limits.most_bytes} bytes"
                )
        return b"".join(parts)

    async def _authorization(self) -> dict[str, str]:
        if self._token is None:
            return {}
        try:
            token = await asyncio.to_thread(self._token.read)
        except (OSError, ValueError) as error:
            raise SourceRefusedError(self._source, f"its token_file: {error}") from None
        return {"authorization": f"Bearer {token}"}

    def _broken(self, error: httpx.TransportError) -> Exception:
        if _is_distrust(error):
            return SourceRefusedError(
                self._source,
                f"its certificate is not trusted ({error}). Install the authority that signed "
                "it, or set verify_tls to false.",
            )
        if isinstance(error, httpx.UnsupportedProtocol):
            return SourceRefusedError(self._source, f"{error} Give an http or https url.")
        return _AskAgainError(f"{error}" or type(error).__name__)


def _without_secret(body: bytes, headers: dict[str, str]) -> bytes:
    """Take our key out of what a server echoes: reasons are quoted in messages and logs."""
    secret = headers.get("authorization", "").removeprefix("Bearer ").encode()
    return body.replace(secret, b"***") if secret else body


def _trust(*, verify: bool) -> ssl.SSLContext | bool:
    # The system's authorities, where a company installs its own; not those that httpx brings.
    return ssl.create_default_context() if verify else False


def _is_distrust(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None


def _gave_up_on_the_query(body: bytes) -> bool:
    # 503 with these is a query that took too long, and will again.
    return b'"errorType":"timeout"' in body or b'"errorType":"canceled"' in body
