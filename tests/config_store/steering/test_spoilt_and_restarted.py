"""The state was spoilt and every process started anew: what is left in Redis brings it back."""

from typing import Any

import pytest
from redis.asyncio import Redis

from config_store.errors import (
    ChangedBehindError,
    LostStateError,
    NoActiveVersionError,
    NotPermittedError,
    RefusedChangeError,
)
from config_store.repair import STATE, Repair
from config_store.steering import drafts
from config_store.steering.commands import (
    AddOverride,
    Approve,
    Deploy,
    EmergencyOff,
    EmergencyOn,
    RollBack,
    SetSettings,
    Validated,
)
from config_store.steering.rebuilding import rebuilt
from config_store.steering.settings import SteeringSettings
from config_store.steering.state import Stage, SteeringState, Strategy
from config_store.steering.status import problems
from config_store.steering.store import SteeringStore
from config_store.steering.stored import StateCopy
from config_store.store import ConfigStore
from tests.config_store.steering.people import ADA, BO, CY, NOW
from tests.config_store.steering.stores import document, founded, kinds, switch, validated

OVERRIDE = AddOverride("o" * 16, "tail", "autoscale_workers", 4.0, "a test", NOW + 1000)


@pytest.fixture
async def store(redis: Redis) -> SteeringStore:
    """Give one with three versions that were active, a draft that never was, and an override."""
    store = await founded(redis)
    for seconds in (2, 3):
        await switch(store, await validated(store, seconds))
    await store.change(SetSettings(SteeringSettings(approvals_needed=1)), CY, NOW)
    await validated(store, 4)
    life = await store.draft(document(5), "approved", ADA, NOW)
    await store.change(Validated(5, life.content_hash), ADA, NOW)
    await store.change(Approve(5, life.content_hash), BO, NOW)
    await switch(store, 5)
    await store.change([OVERRIDE, EmergencyOn("it is wrong")], CY, NOW)
    return store


async def spoil(redis: Redis, how: str) -> None:
    key = SteeringStore(redis).key
    if how == "changed":
        await redis.hset(key, "state", "{}")
    else:
        await redis.delete(key)
    if how == "of another type":
        await redis.rpush(key, "something else")


async def lose_copy(redis: Redis, how: str) -> None:
    key = StateCopy(redis).key
    match how:
        case "removed":
            await redis.delete(key)
        case "changed":
            await redis.hset(key, "state", "{}")
        case _:
            await redis.delete(key)
            await redis.rpush(key, "something else")


def of_unknown_past(state: SteeringState) -> SteeringState:
    """Give what is written again: whether what waits in it was deployed since, nobody knows."""
    return state.model_copy(update={"versions": drafts.of_unknown_past(state)})


def unlike(state: SteeringState, other: SteeringState) -> set[str]:
    """Name the fields that differ, but for the revision and its time."""
    fields = set(SteeringState.model_fields) - {"revision", "changed"}
    return {name for name in fields if getattr(state, name) != getattr(other, name)}


@pytest.mark.parametrize("how", ["changed", "removed", "of another type"])
async def test_who_never_knew_it_writes_it_again_from_its_copy(
    redis: Redis, store: SteeringStore, how: str
) -> None:
    before = await store.read()
    await spoil(redis, how)
    with pytest.raises(ChangedBehindError):
        await SteeringStore(redis).read()
    assert await Repair(redis).revive(ADA, NOW + 1)
    after = await SteeringStore(redis).read()
    assert unlike(after, of_unknown_past(before)) == set()
    assert after.revision == before.revision + 1
    assert (await kinds(redis))[-1] == "steering_restored"
    assert not await Repair(redis).revive(ADA, NOW + 1)  # it is well


async def test_who_knows_it_leaves_it_to_people(redis: Redis, store: SteeringStore) -> None:
    repair = Repair(redis)
    assert await repair.findings() == []
    await spoil(redis, "changed")
    assert not await repair.revive(ADA, NOW)
    with pytest.raises(ChangedBehindError):
        await store.read()


async def test_what_was_changed_since_the_last_look_is_not_lost_by_a_repair(
    redis: Redis, store: SteeringStore
) -> None:
    repair = Repair(redis)
    await repair.findings()
    after = (await store.change(RollBack("slow", 2), ADA, NOW)).state
    await spoil(redis, "changed")
    assert await repair.put_back(ADA, NOW) == [STATE]
    assert unlike(await store.read(), of_unknown_past(after)) == set()


@pytest.mark.parametrize("how", ["removed", "changed", "of another type", "old"])
async def test_without_a_copy_it_is_said_what_to_do(
    redis: Redis, store: SteeringStore, how: str
) -> None:
    if how == "old":  # as an earlier release leaves it, which writes none
        kept: Any = await redis.hgetall(StateCopy(redis).key)
        await store.change(RollBack("slow", 2), ADA, NOW)
        await redis.hset(StateCopy(redis).key, mapping=kept)
    else:
        await lose_copy(redis, how)
    await spoil(redis, "changed")
    repair = Repair(redis)
    assert not await repair.revive(ADA, NOW)
    (finding,) = await repair.findings()
    assert "`ballast config repair --rebuild`" in finding.remedy
    with pytest.raises(LostStateError, match="`ballast config repair --rebuild`"):
        await repair.put_back(CY, NOW)
    with pytest.raises(NotPermittedError, match="rebuild needs the role admin"):
        await repair.put_back(BO, NOW, rebuild=True)


async def test_a_state_is_made_of_the_documents_and_the_journal(
    redis: Redis, store: SteeringStore
) -> None:
    before = await store.read()
    assert (before.active, before.warm) == (5, (3, 2, 1))
    await lose_copy(redis, "removed")
    await spoil(redis, "changed")
    assert await Repair(redis).put_back(CY, NOW, rebuild=True) == [STATE]
    after = await store.read()
    assert problems(after) == ()
    assert (after.active, after.warm, after.overrides) == (5, (3, 2, 1), before.overrides)
    assert after.emergency is not None
    assert after.emergency.reason == "it is wrong"
    assert after.revision > before.revision
    assert {n: life.stage for n, life in after.versions.items()} == {
        1: Stage.DEPRECATED,
        2: Stage.DEPRECATED,
        3: Stage.DEPRECATED,
        4: Stage.DRAFT,
        5: Stage.ACTIVE,
    }
    # What was active by an approval says that approvals are needed.
    assert after.settings.approvals_needed == 1
    hashes = {n: life.content_hash for n, life in before.versions.items()}
    assert {n: life.content_hash for n, life in after.versions.items()} == hashes
    await store.change(EmergencyOff("it is right"), CY, NOW)
    with pytest.raises(RefusedChangeError, match="Version 4 is draft"):
        await store.change(Deploy(4, Strategy.BLUE_GREEN, "r", 5, despite_branch=True), ADA, NOW)
    assert (await store.change(RollBack("slow"), ADA, NOW)).state.active == 3
    assert (await store.draft(document(6), "m", ADA, NOW)).number == 6


@pytest.mark.parametrize("which", ["active", "in_force"])
@pytest.mark.usefixtures("store")
async def test_one_of_pointer_and_journal_is_enough(redis: Redis, which: str) -> None:
    key = f"ballast:config:{which}"
    for another_type in (False, True):
        await redis.delete(key)
        if another_type:
            await redis.hset(key, "of", "another type")
        state = await rebuilt(redis)
        assert (state.active, problems(state)) == (5, ())
        assert state.warm == ((3, 2, 1) if which == "active" else ())


@pytest.mark.usefixtures("store")
async def test_where_nothing_is_left_nothing_is_made(redis: Redis) -> None:
    await redis.delete(ConfigStore(redis).versions_key)
    with pytest.raises(NoActiveVersionError):
        await rebuilt(redis)
