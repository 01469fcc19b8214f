"""There are 4,200 request heads, half sent and without a key: see whether others get in."""

import asyncio
import contextlib
import resource
import socket
from urllib.parse import urlsplit

from benchmarks.abuse.scenario import Figures
from benchmarks.abuse.victim import asks
from benchmarks.platform import Platform

CONNECTIONS, AT_ONCE = 4_200, 100
# All of 127.0.0.0/8 is this machine: bounds by address meet the abuser and not the victim.
ABUSER = "127.0.0.2"
CONNECT_SECONDS = 2.0
HELD_SECONDS = 20.0
HALF_A_HEAD = b"POST /models/tail-slo HTTP/1.1\r\nHost: ballast\r\nX-Slow: "


def measure(platform: Platform) -> Figures:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return asyncio.run(_measure(platform))


async def _measure(platform: Platform) -> Figures:
    address = urlsplit(platform.url)
    before = await asks(platform, HELD_SECONDS / 4)
    held = await _half_sent(address.hostname or "", address.port or 0)
    during = await asks(platform, HELD_SECONDS)
    still = sum(_open(each) for each in held)
    for each in held:
        each.close()
    return {
        "half-sent heads that were taken": float(len(held)),
        f"of them open after {HELD_SECONDS:g} s": float(still),
        "others answered before, %": round(before.answered_percent, 2),
        "others answered meanwhile, %": round(during.answered_percent, 2),
        "others' p99 before, ms": before.ms(0.99),
        "others' p99 meanwhile, ms": during.ms(0.99),
    }


async def _half_sent(host: str, port: int) -> list[socket.socket]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one() -> socket.socket | None:
        async with gate:
            return await _connect(host, port)

    found = await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    return [each for each in found if each is not None]


async def _connect(host: str, port: int) -> socket.socket | None:
    loop, made = asyncio.get_running_loop(), socket.socket()
    made.setblocking(False)
    try:
        made.bind((ABUSER, 0))
        async with asyncio.timeout(CONNECT_SECONDS):
            await loop.sock_connect(made, (host, port))
            await loop.sock_sendall(made, HALF_A_HEAD)
    except (OSError, TimeoutError):
        made.close()
        return None
    return made


def _open(connection: socket.socket) -> bool:
    """Tell whether the other side has not hung up, with or without an answer."""
    with contextlib.suppress(BlockingIOError):
        try:
            while connection.recv(4096):
                continue
        except ConnectionError:
            return False
        return False
    return True
