"""A client as the API asks for: it obeys Retry-After and sends again what was not acknowledged."""

import asyncio
import time
from collections.abc import Collection
from typing import Any

import httpx
import orjson

from benchmarks.chaos.books import Answer, Books

ANSWER_SECONDS = 20.0  # longer than any process is stopped
AGAIN_SECONDS = 0.25  # after a connection that broke, or an answer that should not be
LONGEST_WAIT_SECONDS = 10.0
Json = dict[str, Any]


def connected(url: str, key: str, connections: int) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    headers = {"X-API-Key": key}
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=ANSWER_SECONDS, limits=limits)


class Client:
    """Shared by all of the load; a request ends with an answer to go on from, or with the load."""

    def __init__(self, http: httpx.AsyncClient, books: Books) -> None:
        self._http = http
        self._books = books
        self._over = asyncio.Event()

    def give_up(self) -> None:
        """Let requests that are not acknowledged by now stay so."""
        self._over.set()

    async def send(
        self,
        endpoint: str,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        accepted: Collection[int] = (),
    ) -> Answer | None:
        """Send until it is acknowledged; None when the load is over before that."""
        content = None if body is None else orjson.dumps(body)
        while not self._over.is_set():
            answer = await self._once(endpoint, method, path, content)
            if answer is None:
                await self._pause(AGAIN_SECONDS)
                continue
            self._books.note(endpoint, answer, accepted)
            if answer.status in {200, 204, *accepted}:
                return answer
            await self._pause(waits(answer))
        return None

    async def _once(
        self, endpoint: str, method: str, path: str, content: bytes | None
    ) -> Answer | None:
        self._books.sent[endpoint] += 1
        started = time.monotonic()
        try:
            found = await self._http.request(method, path, content=content)
        except httpx.HTTPError as error:
            self._books.broken[type(error).__name__] += 1
            return None
        self._books.took(endpoint, time.monotonic() - started)
        headers = found.headers
        return Answer(
            found.status_code,
            headers.get("content-type", ""),
            headers.get("retry-after"),
            found.content,
        )

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._over.wait()
        except TimeoutError:
            return


def waits(answer: Answer) -> float:
    """Say how long a client waits before it sends again."""
    if answer.retry_after is None or not answer.retry_after.isdigit():
        return AGAIN_SECONDS
    return min(max(float(answer.retry_after), AGAIN_SECONDS), LONGEST_WAIT_SECONDS)
