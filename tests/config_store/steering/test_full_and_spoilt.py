"""A Redis that is full, or that somebody wrote into by hand: what ends something goes on."""

from dataclasses import replace

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from config_store.errors import ChangedBehindError
from config_store.repair import Repair
from config_store.steering.commands import (
    AddOverride,
    Command,
    Deploy,
    EmergencyOff,
    EmergencyOn,
    Judge,
    RemoveOverride,
    RollBack,
)
from config_store.steering.journal import MOST_BYTES
from config_store.steering.state import Stage, Strategy, Verdict
from tests.config_store.steering.people import ADA, CY, NOW
from tests.config_store.steering.stores import founded, kinds, switch, validated

OVERRIDE = AddOverride("o" * 16, "tail", "autoscale_workers", 4.0, "a test", NOW + 1000)


@pytest.mark.parametrize(
    "command",
    [EmergencyOn("it is wrong"), EmergencyOff("it is right"), RollBack("it is slow")],
)
async def test_what_ends_something_is_done_in_a_full_redis(redis: Redis, command: Command) -> None:
    store = await founded(redis)
    await switch(store, await validated(store, 2))
    await store.change(OVERRIDE, CY, NOW)
    before = await store.read()
    used = (await redis.info("memory"))["used_memory"]
    await redis.config_set("maxmemory", used // 2)
    with pytest.raises(ResponseError, match="maxmemory"):  # it is full indeed
        await redis.set("ballast:test:full", "x")
    for each in (command, RemoveOverride(OVERRIDE.id)):
        await store.change(each, CY, NOW)
    after = await store.read()
    assert after.revision == before.revision + 2
    assert not after.overrides
    with pytest.raises(ResponseError, match="maxmemory"):  # what begins something waits for room
        await store.change(OVERRIDE, CY, NOW)
    assert await store.read() == after


async def test_a_bad_verdict_ends_its_rollout_in_a_full_redis_and_no_other_verdict_is_noted(
    redis: Redis,
) -> None:
    store = await founded(redis)
    number = await validated(store, 2)
    await store.change(Deploy(number, Strategy.CANARY, "r", 1), ADA, NOW)
    await redis.config_set("maxmemory", 1)
    for verdict in (Verdict.GOOD, Verdict.UNKNOWN):
        with pytest.raises(ResponseError, match="maxmemory"):
            await store.change(Judge("r", 0, verdict, "what was seen"), ADA, NOW + 10)
    bad = Judge("r", 0, Verdict.BAD, "it is slow", "c" * 64)
    state = (await store.change(bad, ADA, NOW + 10)).state
    assert (state.active, state.rollout) == (1, None)
    assert state.versions[number].stage is Stage.ROLLED_BACK
    assert await store.read() == state
    assert (await kinds(redis))[-2:] == ["rollout_judged", "rollout_aborted"]


@pytest.mark.parametrize("newest", ["", "many", "-3", "1e308", "9" * 400])
async def test_a_number_that_was_spoilt_by_hand_stops_nobody(redis: Redis, newest: str) -> None:
    store = await founded(redis)
    await switch(store, await validated(store, 2))
    await redis.hset(store.key, "newest", newest)
    assert (await store.read()).active == 2
    assert await validated(store, 3) == 3
    assert (await store.change(RollBack("it is slow"), CY, NOW)).state.active == 1


@pytest.mark.parametrize("which", ["steering", "active"])
async def test_a_key_of_another_type_is_a_finding_and_is_repaired(redis: Redis, which: str) -> None:
    store, repair = await founded(redis), Repair(redis)
    await switch(store, await validated(store, 2))
    assert await repair.findings() == []
    key = f"ballast:config:{which}"
    await redis.delete(key)
    await redis.rpush(key, "something else")
    with pytest.raises(ChangedBehindError, match="of another type"):
        await store.read()
    assert "of another type" in (await repair.findings())[0].what
    assert await repair.put_back(CY, NOW) == ["the steering state"]
    assert (await store.read()).active == 2
    assert await repair.findings() == []


async def test_the_journal_of_what_was_in_force_has_a_measure(redis: Redis) -> None:
    store = await founded(redis)
    overrides = [
        replace(OVERRIDE, id=f"{number:016x}", entity=f"e{number}", reason="x" * 2000)
        for number in range(200)
    ]
    await store.change(overrides, CY, NOW)
    for _ in range(50):
        await store.change(EmergencyOn("it is wrong"), CY, NOW)
        await store.change(EmergencyOff("it is right"), CY, NOW)
    used = await redis.memory_usage(store.journal_key, samples=0)
    assert used is not None
    assert used <= 1.1 * MOST_BYTES
    now = await store.journal_entry(NOW)
    assert now is not None
    assert now.revision == (await store.read()).revision  # the newest is there


async def test_an_entry_of_the_journal_that_another_release_wrote_is_none(redis: Redis) -> None:
    store = await founded(redis)
    await switch(store, await validated(store, 2))
    await redis.zadd(store.journal_key, {'000000000009 {"of": "another"}': NOW + 5})
    assert await store.journal_entry(NOW + 10) is None
    assert await store.journal_entry(NOW + 1) is not None
