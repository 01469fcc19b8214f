"""A command leaves and ends what was seen when it was asked for, and nothing that came since."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis

from config_store.errors import OvertakenError
from config_store.steering.changes import Changed
from config_store.steering.commands import (
    Actor,
    Command,
    EmergencyOff,
    EmergencyOn,
    RollBack,
)
from config_store.steering.scripts import CHANGE
from config_store.steering.state import Stage
from config_store.steering.store import SteeringStore
from settings.redis_connection import REDIS_AWAY, open_redis
from tests.config_store.steering.people import ADA, CY, NOW, changed, deployed, first, in_canary
from tests.config_store.steering.stores import founded, switch, validated
from tests.redis_server import RedisServer


class Held:
    """A gateway that is stopped between its read and its write."""

    def __init__(self, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
        self._reached, self._go = asyncio.Event(), asyncio.Event()
        register = redis.register_script

        def registered(text: str) -> Callable[..., Awaitable[Any]]:
            script = register(text)
            if text != CHANGE:
                return script

            async def written(**given: Any) -> Any:
                self._reached.set()
                await self._go.wait()
                return await script(**given)

            return written

        monkeypatch.setattr(redis, "register_script", registered)
        self._store = SteeringStore(redis)

    @asynccontextmanager
    async def at(self, command: Command, by: Actor) -> AsyncIterator[asyncio.Task[Changed]]:
        """Have it begin a change, and let it go on at the end."""
        late = asyncio.create_task(self._store.change(command, by, NOW))
        await self._reached.wait()
        yield late
        self._go.set()


async def test_a_late_rollback_leaves_no_version_that_came_since(
    redis: Redis, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await founded(redis)
    await switch(store, await validated(store, 2))
    async with redis_server.patient_client() as other:
        held = Held(other, monkeypatch)
        async with held.at(RollBack("2 is bad", after=2, rollout=""), ADA) as late:
            await switch(store, await validated(store, 3))
        with pytest.raises(OvertakenError, match="Version 3 is active by now, and not 2"):
            await late
    state = await store.read()
    assert (state.active, state.versions[3].stage) == (3, Stage.ACTIVE)


async def test_a_late_end_ends_no_emergency_that_began_since(
    redis: Redis, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await founded(redis)
    begun = (await store.change(EmergencyOn("p99 is 0"), ADA, NOW)).state.emergency
    assert begun is not None
    async with redis_server.patient_client() as other:
        held = Held(other, monkeypatch)
        async with held.at(EmergencyOff("p99 is well", begun.since), CY) as late:
            await store.change(EmergencyOff("p99 is well", begun.since), CY, NOW + 1)
            await store.change(EmergencyOn("a thousand violations", "critical"), ADA, NOW + 2)
        with pytest.raises(OvertakenError, match="a thousand violations"):
            await late
    emergency = (await store.read()).emergency
    assert emergency is not None
    assert emergency.rule == "critical"


async def test_what_redis_gave_no_answer_to_is_not_carried_out_later(
    redis: Redis, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await founded(redis)
    await switch(store, await validated(store, 2))
    async with open_redis(redis_server.url) as impatient:
        held = Held(impatient, monkeypatch)
        async with held.at(RollBack("2 is bad"), ADA) as late:
            redis_server.freeze()
        try:
            with pytest.raises(REDIS_AWAY):
                await late
        finally:
            redis_server.thaw()
    await redis.ping()
    assert (await store.read()).active == 2


def test_who_saw_a_rollout_goes_back_no_further_once_it_has_ended() -> None:
    state = in_canary(deployed(first(), 2), 3)
    assert state.rollout is not None
    seen = RollBack("3 is bad", after=2, rollout=state.rollout.id)
    ended = changed(state, seen)
    assert ended.active == 2
    with pytest.raises(OvertakenError, match="No rollout goes on by now, and not"):
        changed(ended, seen)
    # Where to go was said: that the rollout has ended by itself is in nobody's way.
    named = RollBack("2 is bad too", number=1, after=2, rollout=state.rollout.id)
    assert changed(ended, named).active == 1


@pytest.mark.parametrize("number", [None, 1])
def test_who_saw_no_rollout_ends_none(number: int | None) -> None:
    state = in_canary(deployed(first(), 2), 3)
    with pytest.raises(OvertakenError, match="goes on by now, and none did"):
        changed(state, RollBack("2 is bad", number, after=2, rollout=""))


def test_an_end_for_no_emergency_ends_none() -> None:
    state = changed(first(), EmergencyOn("it began since"))
    with pytest.raises(OvertakenError, match="it began since"):
        changed(state, EmergencyOff("a gateway still holds one", 0.0), by=CY)
    assert changed(state, EmergencyOff("whichever it is"), by=CY).emergency is None
    assert changed(first(), EmergencyOff("one that Redis forgot", 5.0), by=CY).released == NOW
