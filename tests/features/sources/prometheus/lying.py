"""A server on a real socket that says what a test wants, however wrong."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest

from features.errors import FeatureError
from features.sources.http.connection import Limits
from features.sources.prometheus.api import PrometheusApi

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]

QUICK = Limits(pause_seconds=0.001)
START = 1_700_000_040


@dataclass
class Asked:
    """One request as it came."""

    line: str
    headers: dict[str, str]
    body: str


@dataclass
class Liar:
    """Answers each request with the next of its replies, and goes on with the last one."""

    replies: list[bytes]
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
            headers = dict(each.lower().split(": ", 1) for each in head[1:] if each)
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.asked.append(Asked(head[0], headers, body.decode()))
            reply = self.replies[min(len(self.asked), len(self.replies)) - 1]
            if reply == SILENCE:
                await reader.read()  # until the other one hangs up
            writer.write(reply)
            await writer.drain()
        except (OSError, EOFError):
            pass  # the other one had enough
        finally:
            await hang_up(writer)


SILENCE = b"silence"


def reply(status: int, content: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} x", f"content-length: {len(content)}", *headers]
    return "\r\n".join([*lines, "connection: close", "", ""]).encode() + content


def success(found: object) -> bytes:
    return reply(200, orjson.dumps({"status": "success", "data": found}))


def failure(status: int, kind: str, reason: str) -> bytes:
    content = {"status": "error", "errorType": kind, "error": reason}
    return reply(status, orjson.dumps(content))


def vector(*values: object) -> bytes:
    found = [{"metric": {"job": "a"}, "value": [START, value]} for value in values]
    return success({"resultType": "vector", "result": found})


GOOD = vector("1.5")


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


@asynccontextmanager
async def lying(*replies: bytes) -> AsyncIterator[Liar]:
    liar = Liar(list(replies))
    async with serving(liar.answer) as liar.url:
        yield liar


@asynccontextmanager
async def asking(
    url: str, *, token_file: Path | None = None, verify_tls: bool = True, limits: Limits = QUICK
) -> AsyncIterator[PrometheusApi]:
    api = PrometheusApi(
        "prod",
        url,
        random=lambda: 0.5,
        token_file=token_file,
        verify_tls=verify_tls,
        limits=limits,
    )
    try:
        yield api
    finally:
        await api.close()


@asynccontextmanager
async def serving(answer: Answer, trust: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    answers: set[asyncio.Task[None]] = set()

    async def noted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers.add(asyncio.ensure_future(answer(reader, writer)))

    server = await asyncio.start_server(noted, "127.0.0.1", 0, ssl=trust)
    async with server:
        yield f"http{'s' if trust else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await asyncio.gather(*answers)


async def asked_once(*replies: bytes, limits: Limits = QUICK) -> tuple[FeatureError, Liar]:
    async with lying(*replies) as liar, asking(liar.url, limits=limits) as api:
        with pytest.raises(FeatureError) as raised:
            await api.query("up", START)
    return raised.value, liar
