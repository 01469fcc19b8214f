import asyncio

import pytest

from deployments.gateway.event_streams import notices
from observability.background import end
from tests.deployments.house import House
from tests.waiting import until


async def test_event_streams_are_bounded_for_a_key_and_in_all(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "OPEN_SECONDS", 3600.0)
    listeners = house.context.listeners

    async def listen() -> None:
        async with house.client() as client:
            await client.get("/streams/s/events")

    listening = [asyncio.create_task(listen()) for _ in range(2)]
    await until(lambda: listeners._open.total() == 2)
    for per_key, in_all in ((2, 256), (64, 2)):
        monkeypatch.setattr(listeners, "_per_key", per_key)
        monkeypatch.setattr(listeners, "_in_all", in_all)
        async with house.client() as client:
            refusal = await client.get("/streams/s/events")
        assert refusal.status_code == 429
        assert int(refusal.headers["retry-after"]) >= 1
        assert refusal.json()["error"]["code"] == "quota"
    await end(*listening)  # again and again: a client of Redis may lose a cancellation
    await until(lambda: not listeners._open)
