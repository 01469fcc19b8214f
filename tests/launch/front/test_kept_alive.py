"""Clients on connections that are kept alive: HAProxy would hang up on them where it can."""

import asyncio
import sys
from collections import Counter
from typing import Self

import httpx

from benchmarks.decisions.two_passes import GATEWAY
from launch.front.servers import Server, publish
from tests.launch.front.conftest import Front
from tests.ports import any_free_port
from tests.waiting import PATIENCE_SECONDS, until

CLIENTS = 12
KILLS = 6


class Asking:
    """Clients that ask on, each over the connection that it has."""

    def __init__(self, front: Front) -> None:
        self.seen: Counter[str] = Counter()
        self._stop = False
        limits = httpx.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
        self._client = httpx.AsyncClient(base_url=front.url, timeout=60, limits=limits)

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._ask_on()) for _ in range(CLIENTS)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop = True
        await asyncio.gather(*self._tasks)
        await self._client.aclose()

    async def answered(self, status: str, more: int) -> None:
        wanted = self.seen[status] + more
        await until(lambda: self.seen[status] >= wanted, PATIENCE_SECONDS)

    async def _ask_on(self) -> None:
        while not self._stop:
            try:
                answer = await self._client.post("/models/tail-slo", content=b"x" * 16)
            except httpx.TransportError as error:
                self.seen[repr(error)] += 1
                continue
            self.seen[str(answer.status_code)] += 1
            if answer.status_code == 503:
                assert answer.headers["retry-after"]
                assert answer.json()["error"]["code"] == "unavailable"
                await asyncio.sleep(0.02)


async def test_the_only_gateway_killed_is_answered_for_and_nobody_is_hung_up_on(
    empty_front: Front,
) -> None:
    port = any_free_port()
    publish(empty_front.folder, [Server("one", f"127.0.0.1:{port}")])
    async with Asking(empty_front) as asking:
        for _ in range(KILLS):
            gateway = await asyncio.create_subprocess_exec(sys.executable, "-c", GATEWAY, str(port))
            try:
                await asking.answered("200", 50)
            finally:
                gateway.kill()
                await gateway.wait()
            await asking.answered("503", 20)
    assert set(asking.seen) == {"200", "503"}
