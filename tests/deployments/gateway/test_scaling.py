"""Replicas come and go as autoscaling makes them, under load, and no request is lost by it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.deployments.house import PATH, House
from tests.waiting import until

REGIME = "/models/regime-detection"
STREAMS = [f"stream-{number}" for number in range(6)]
VALUES = [20.0, 21.5, 19.0, 20.5]


@pytest.fixture(params=["fast", "plain"])
def profile(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


async def end(house: House, stage: str) -> None:
    """End the oldest replica as Serve does: it is named no longer, answers what it has, closes."""
    opened = house.open[stage].pop(0)
    house.replicas[stage].pop(0)
    if house.plain:
        house.directories[stage].replicas.remove(opened)
    else:
        house.directories[stage].addresses.remove(await opened.where())
    await opened.close()


class Asking:
    """Clients that ask one request after the other; all must be answered with 200."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._over = asyncio.Event()
        self.answered: Counter[str] = Counter()

    async def go_on(self, name: str, path: str, body: dict[str, Any]) -> None:
        async with self._house.client() as client:
            while not self._over.is_set():
                if "stream" in body:
                    body["sequence"] = len(VALUES) * self.answered[name]
                found = await client.post(path, json=body)
                assert found.status_code == 200, found.text
                content = found.json()
                assert not content["safety"]["fallback"], found.text
                self.answered[name] += 1

    async def more(self, times: int = 8) -> None:
        """Wait until everybody has had so many more answers."""
        wanted = {name: count + times for name, count in self.answered.items()}
        await until(lambda: all(self.answered[name] >= wanted[name] for name in wanted))

    def end(self) -> None:
        self._over.set()


@asynccontextmanager
async def asking(
    house: House, path: str, bodies: dict[str, dict[str, Any]]
) -> AsyncIterator[Asking]:
    found = Asking(house)
    async with asyncio.TaskGroup() as tasks:
        for name, body in bodies.items():
            found.answered[name] = 0
            tasks.create_task(found.go_on(name, path, body))
        yield found
        found.end()


async def test_streams_go_on_while_replicas_that_hold_them_come_and_go(house: House) -> None:
    bodies = {name: {"stream": name, "values": VALUES} for name in STREAMS}
    async with asking(house, REGIME, bodies) as clients:
        await clients.more()
        for _ in range(2):
            await house.start("anomaly")
            await clients.more()
        for _ in range(2):
            await end(house, "anomaly")
            await clients.more()
    async with house.client() as client:
        shown = {name: (await client.get(f"/streams/{name}")).json()["regime"] for name in STREAMS}
    expected = {name: (len(VALUES) * clients.answered[name], 0) for name in STREAMS}
    found = {name: (each["observations"], each["missing"]) for name, each in shown.items()}
    assert found == expected


async def test_batches_go_on_while_replicas_of_every_stage_come_and_go(house: House) -> None:
    bodies = {str(at): {"entity": "pricing", "load": 0.5 + at / 100} for at in range(4)}
    async with asking(house, PATH, bodies) as clients:
        await clients.more()
        for stage in ("features", "tail", "safety"):
            await house.start(stage)
        await clients.more()
        for stage in ("features", "tail", "safety"):
            await end(house, stage)
            await clients.more()
    assert all(clients.answered.values())
