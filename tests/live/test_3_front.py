"""What clients see when the processes in front die: answers, or 503 with Retry-After."""

import asyncio
import os
import re
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

import httpx
import pytest

from tests.live.conftest import Live, eventually

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

CLIENTS = 8
KILLS = 3
BODY = b'{"entity": "order-gateway", "load": 0.5, "slo_ms": 250}'


@dataclass(slots=True)
class Seen:
    """What clients saw, each on a new connection for every request."""

    answered: int = 0
    busy: int = 0  # 503 with Retry-After
    broken_off: int = 0  # the request was under way when its connection ended
    wrong: list[str] = field(default_factory=list)
    refused_since: float | None = None
    longest_refusal: float = 0.0

    def refuse(self, now: float) -> None:
        if self.refused_since is None:
            self.refused_since = now
        self.longest_refusal = max(self.longest_refusal, now - self.refused_since)

    def take(self, answer: httpx.Response) -> None:
        self.refused_since = None
        if answer.status_code == 200:
            self.answered += 1
        elif answer.status_code == 503 and "retry-after" in answer.headers:
            self.busy += 1
        else:
            self.wrong.append(f"{answer.status_code} {answer.text[:200]}")


class Visitors:
    def __init__(self, live: Live) -> None:
        self._live = live
        self._stop = asyncio.Event()
        self.seen = Seen()

    async def __aenter__(self) -> Self:
        self._client = httpx.AsyncClient(
            base_url=self._live.url,
            headers={"X-API-Key": self._live.key},
            timeout=30,
            limits=httpx.Limits(max_keepalive_connections=0),
        )
        self._tasks = [asyncio.create_task(self._ask_on()) for _ in range(CLIENTS)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks)
        await self._client.aclose()

    async def _ask_on(self) -> None:
        while not self._stop.is_set():
            try:
                self.seen.take(await self._client.post("/models/tail-slo", content=BODY))
            except httpx.ConnectError:
                self.seen.refuse(time.monotonic())
            except httpx.TransportError:
                self.seen.broken_off += 1
            await asyncio.sleep(0.01)

    async def answered(self, more: int) -> None:
        """Wait until so many more requests were answered."""
        wanted = self.seen.answered + more
        until = time.monotonic() + 60
        while self.seen.answered < wanted:
            assert time.monotonic() < until, self.seen
            await asyncio.sleep(0.02)


def kill(pids: list[int], number: signal.Signals = signal.SIGKILL) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


async def victims_of(live: Live, titles: list[str]) -> list[int]:
    """Wait until each kind of process is there, and name them all."""
    until = time.monotonic() + 90
    while not all(live.pids(title) for title in titles):
        assert time.monotonic() < until, f"one of {titles} has not come back"
        await asyncio.sleep(0.05)
    return [pid for title in titles for pid in live.pids(title)]


PARTS = {
    "every HAProxy": ["haproxy"],
    "every HAProxy and what keeps it": ["haproxy", "launch.front"],
    "Serve's HAProxy manager": ["ray::HAProxyManager"],
    "Serve's own proxy": ["ray::ProxyActor"],
}


@pytest.mark.parametrize("part", PARTS)
async def test_killed_under_load_it_is_back_at_once(live: Live, part: str) -> None:
    async with Visitors(live) as visitors:
        await visitors.answered(100)
        for _ in range(KILLS):
            kill(await victims_of(live, PARTS[part]))
            await visitors.answered(100)
    seen = visitors.seen
    print(  # noqa: T201 - the figures are the point
        f"{part} killed {KILLS} times: {seen.answered} answered, {seen.busy} told to come back, "
        f"{seen.broken_off} broken off, refused for {seen.longest_refusal:.2f} s at the longest"
    )
    assert seen.wrong == []
    assert seen.longest_refusal < 2
    assert seen.broken_off <= KILLS * CLIENTS * len(PARTS[part])


async def test_a_haproxy_that_hangs_costs_a_wait(live: Live) -> None:
    async with Visitors(live) as visitors:
        await visitors.answered(50)
        victims = live.pids("haproxy")
        kill(victims, signal.SIGSTOP)
        await visitors.answered(50)
        kill(victims, signal.SIGCONT)
        await visitors.answered(50)
    assert visitors.seen.wrong == []
    assert visitors.seen.longest_refusal == 0


def test_serve_finds_its_haproxy_again(live: Live) -> None:
    """A gateway that comes after all those kills is reached: the front still hears of gateways."""
    title = "ServeReplica:ballast:gateway"
    before = set(live.pids(title))
    kill(list(before))
    eventually(lambda: bool(set(live.pids(title)) - before), 90)
    with live.client() as client:
        eventually(lambda: client.get("/status").status_code == 200, 90)


def test_the_gateways_are_not_reached_around_the_front(live: Live) -> None:
    listing = subprocess.run(
        ["/usr/bin/ss", "-Hltnp"], capture_output=True, text=True, check=True
    ).stdout
    ports = {
        int(line.split()[3].rpartition(":")[2])
        for line in listing.splitlines()
        if {int(pid) for pid in re.findall(r"pid=(\d+)", line)} & set(live.pids("haproxy"))
    }
    assert ports == {int(live.url.rpartition(":")[2])}
