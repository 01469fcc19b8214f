"""Two processes restore a spoilt state; what was changed since the first one did is kept."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from config_store.errors import LostRaceError, RefusedChangeError
from config_store.steering.commands import EmergencyOn
from config_store.steering.state import SteeringState
from config_store.steering.store import SteeringStore
from tests.config_store.steering.people import ADA, NOW
from tests.config_store.steering.stores import founded, switch, validated
from tests.redis_server import RedisServer


class StopsAt:
    """Holds a client up before the command of this number that it sends."""

    def __init__(self, redis: Redis, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.go = asyncio.Event(), asyncio.Event()
        execute: Any = redis.execute_command
        sent = 0

        async def held(*args: Any, **options: Any) -> Any:
            nonlocal sent
            sent += 1
            if sent == number:
                self.reached.set()
                await self.go.wait()
            return await execute(*args, **options)

        monkeypatch.setattr(redis, "execute_command", held)


async def restored(store: SteeringStore, known: SteeringState) -> str:
    try:
        await store.restore(known, "a repair", ADA, NOW)
    except (RefusedChangeError, LostRaceError) as quicker:
        return type(quicker).__name__
    return "restored"


@pytest.mark.parametrize("spoilt", ["by hand", "another type", "removed"])
async def test_who_is_later_writes_over_nothing(
    redis: Redis, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, spoilt: str
) -> None:
    store = await founded(redis)
    known = await switch(store, await validated(store, 2))
    await _spoil(redis, store.key, spoilt)
    await restored(store, known)  # by now each script is known to this Redis
    reached = 0
    for number in range(1, 10):
        await _spoil(redis, store.key, spoilt)
        async with redis_server.patient_client() as other:
            stops = StopsAt(other, number, monkeypatch)
            late = asyncio.create_task(restored(SteeringStore(other), known))
            waits = asyncio.create_task(stops.reached.wait())
            await asyncio.wait({late, waits}, return_when=asyncio.FIRST_COMPLETED)
            if late.done():
                waits.cancel()
                break
            reached += 1
            assert await restored(store, known) == "restored"
            changed = (await store.change(EmergencyOn("it is wrong"), ADA, NOW)).state
            stops.go.set()
            assert await late != "restored", f"stopped before command {number}"
            assert await store.read() == changed
    assert reached >= 3


async def _spoil(redis: Redis, key: str, how: str) -> None:
    if how == "by hand":
        await redis.hset(key, "state", "{}")
        return
    await redis.delete(key)
    if how == "another type":
        await redis.set(key, "{}")
