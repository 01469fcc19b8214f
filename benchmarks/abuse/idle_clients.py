"""From the victim's own address: half-sent heads, bodies by the byte, connections left idle."""

import asyncio
import resource
import socket
import time
from contextlib import suppress
from urllib.parse import urlsplit

from benchmarks.abuse.scenario import Figures
from benchmarks.abuse.victim import asks
from benchmarks.platform import Platform

AT_ONCE = 100
CONNECT_SECONDS = 2.0
HELD_SECONDS = 12.0
BYTE_EVERY_SECONDS = 1.0

HEAD = "POST /models/tail-slo HTTP/1.1\r\nHost: ballast\r\n"
# How many connections of each kind, and what each sends; every second it sends one byte more.
KINDS: dict[str, tuple[int, str]] = {
    "half heads": (4_200, HEAD + "X-Slow: "),
    "slow bodies": (1_000, HEAD + "X-API-Key: {key}\r\nContent-Length: 1000\r\n\r\n{{"),
    "slow large bodies": (
        1_000,
        HEAD + "X-API-Key: {key}\r\nContent-Length: 100000\r\n\r\n" + " " * 40_000,
    ),
    "idle connections": (4_200, "GET /health HTTP/1.1\r\nHost: ballast\r\n\r\n"),
}


def measure(platform: Platform) -> Figures:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return asyncio.run(_measure(platform))


async def _measure(platform: Platform) -> Figures:
    figures: Figures = {}
    for kind, (connections, text) in KINDS.items():
        sent = text.format(key=platform.key).encode()
        held = await _opened(platform.url, connections, sent)
        dripping = asyncio.create_task(_drip(held if kind != "idle connections" else []))
        suffered = await asks(platform, HELD_SECONDS)
        dripping.cancel()
        for each in held:
            each.close()
        figures |= {
            f"{kind}, taken": float(len(held)),
            f"{kind}, others answered, %": round(suffered.answered_percent, 2),
            f"{kind}, others' p50, ms": suffered.ms(0.5),
            f"{kind}, others' p99, ms": suffered.ms(0.99),
        }
    return figures


async def _opened(url: str, connections: int, sent: bytes) -> list[socket.socket]:
    address = urlsplit(url)
    gate = asyncio.Semaphore(AT_ONCE)

    async def one() -> socket.socket | None:
        async with gate:
            return await _connect(address.hostname or "", address.port or 0, sent)

    found = await asyncio.gather(*(one() for _ in range(connections)))
    return [each for each in found if each is not None]


async def _connect(host: str, port: int, sent: bytes) -> socket.socket | None:
    loop, made = asyncio.get_running_loop(), socket.socket()
    made.setblocking(False)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await loop.sock_connect(made, (host, port))
            await loop.sock_sendall(made, sent)
    except (OSError, TimeoutError):
        made.close()
        return None
    return made


async def _drip(held: list[socket.socket]) -> None:
    while True:
        began = time.monotonic()
        for each in held:
            with suppress(OSError):
                each.send(b"x")
        await asyncio.sleep(max(began + BYTE_EVERY_SECONDS - time.monotonic(), 0.1))
