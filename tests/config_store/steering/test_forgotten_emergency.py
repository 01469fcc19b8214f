"""An emergency that Redis forgot stays on a gateway until an admin ends it, and no longer."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from config_store.steering.commands import (
    AddOverride,
    Command,
    EmergencyOff,
    EmergencyOn,
    TakeLock,
)
from config_store.steering.store import SteeringStore
from config_store.steering.times import MOST_AHEAD_SECONDS, stamp
from config_store.steering.watch import held
from tests.config_store.steering.people import ADA, CY, NOW, changed, first
from tests.config_store.steering.stores import founded

ON, OFF = EmergencyOn("answers are wrong"), EmergencyOff("all is well")
AHEAD_SECONDS = MOST_AHEAD_SECONDS - 60


@pytest.fixture(autouse=True)
def _time_of_redis(monkeypatch: pytest.MonkeyPatch, _own_time: None) -> None:
    monkeypatch.setattr("config_store.steering.times.stamp", stamp)


async def loses_what_follows(redis: Redis) -> Callable[[], Awaitable[None]]:
    """Give what brings Redis back to where it is now, as after a kill."""
    key = SteeringStore(redis).key
    kept: Any = await redis.hgetall(key)

    async def forget() -> None:
        await redis.delete(key)
        await redis.hset(key, mapping=kept)

    return forget


@pytest.mark.parametrize(
    "before",
    [(), (TakeLock("editing", 60.0),), (OFF,), (ON, OFF)],
    ids=["nothing", "a change", "an end", "a begin and an end"],
)
async def test_no_clock_that_was_ahead_keeps_a_gateway_in_it(
    redis: Redis, before: tuple[Command, ...]
) -> None:
    store = await founded(redis)
    await store.found(CY, NOW)
    forget = await loses_what_follows(redis)
    ahead = time.time() + AHEAD_SECONDS
    for command in before:
        await store.change(command, CY, ahead)
    known = (await store.change(ON, ADA, ahead)).state
    await forget()
    forgot = await store.read()
    assert held(known, forgot).emergency == known.emergency
    ended = (await store.change(OFF, CY, time.time())).state
    assert held(held(known, forgot), ended).emergency is None
    # One that begins later is another one, also where nobody waited for that clock.
    again = (await store.change(ON, ADA, time.time())).state
    assert held(again, ended).emergency == again.emergency


async def test_it_has_the_time_of_redis_whoever_asks(redis: Redis) -> None:
    store = await founded(redis)
    override = AddOverride("o1", "tail", "p99_pred", 1.0, "a sale", time.time() + 3600)
    ahead = time.time() + AHEAD_SECONDS
    await store.change(override, CY, ahead)
    on = (await store.change(ON, ADA, ahead)).state
    assert on.emergency is not None
    assert on.emergency.since <= time.time()
    assert on.changed <= time.time()
    off = (await store.change(OFF, CY, ahead)).state
    assert off.released is not None
    assert on.emergency.since <= off.released <= time.time()
    assert off.changed <= time.time()


def test_a_change_is_not_before_the_last_one_though_its_emergency_is() -> None:
    state = changed(first(), TakeLock("editing", 60.0), now=NOW + 100)
    on = changed(state, ON, now=NOW)
    assert (on.changed, on.emergency and on.emergency.since) == (NOW + 100, NOW)
    off = changed(on, OFF, by=CY, now=NOW + 1)
    assert (off.changed, off.released) == (NOW + 100, NOW + 1)
