"""What a later release wrote is read without the fields that this one does not know."""

from hashlib import sha256
from typing import Any

import orjson
import pytest
from pydantic import ValidationError
from redis.asyncio import Redis

from config_store import records
from config_store.errors import ChangedBehindError
from config_store.steering.commands import (
    AddFreeze,
    AddOverride,
    Deploy,
    EmergencyOff,
    EmergencyOn,
    RollBack,
    TakeLock,
)
from config_store.steering.settings import SteeringSettings
from config_store.steering.state import SteeringState, Strategy
from config_store.steering.store import SteeringStore
from config_store.steering.stored import StateCopy
from tests.config_store.steering.people import ADA, CY, NOW
from tests.config_store.steering.stores import founded, switch, validated

OVERRIDE = AddOverride("o" * 16, "tail", "autoscale_workers", 4.0, "a test", NOW + 1000)


def grown(value: Any) -> Any:
    """Add to each record a field as only a later release has; a mapping by number is no record."""
    if isinstance(value, list):
        return [grown(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {name: grown(each) for name, each in value.items()}
    by_number = all(name.isdigit() for name in found)
    return found if by_number else found | {"of_later": {"more": [1]}}


async def write_grown(redis: Redis) -> None:
    """Write the state as a later release would, which has more fields in each record."""
    key = SteeringStore(redis).key
    text: Any = await redis.hget(key, "state")
    await write(redis, orjson.dumps(grown(orjson.loads(text))))


async def write(redis: Redis, text: bytes) -> None:
    fields: dict[Any, Any] = {"state": text, "digest": sha256(text).hexdigest()}
    for key in (SteeringStore(redis).key, StateCopy(redis).key):
        await redis.hset(key, mapping=fields)


async def with_all_there_is(redis: Redis) -> SteeringState:
    """Bring a state about in which each kind of record stands."""
    store = await founded(redis)
    await switch(store, await validated(store, 2))
    number = await validated(store, 3)
    await store.change(Deploy(number, Strategy.CANARY, "r", 2), ADA, NOW)
    freeze = AddFreeze("f", "a holiday", NOW + 100, NOW + 200)
    state = (await store.change([OVERRIDE, freeze, TakeLock("mine", 60)], CY, NOW)).state
    assert None not in (state.rollout, state.last_rollout, state.lock)
    return state


async def test_the_state_is_read_and_one_line_says_what_was_passed_over(
    redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    records._tell.cache_clear()
    before = await with_all_there_is(redis)
    await write_grown(redis)
    assert await SteeringStore(redis).read() == before
    assert await SteeringStore(redis).read() == before
    assert await StateCopy(redis).read() == before
    (line,) = [each for each in caplog.messages if "does not know" in each]
    for place in ("of_later", "versions.*.of_later", "rollout.settings.of_later"):
        assert place in line


async def test_who_went_back_to_this_release_steers_on(redis: Redis) -> None:
    store = await founded(redis)
    await switch(store, await validated(store, 2))
    emergency = (await store.change([OVERRIDE, EmergencyOn("it is wrong")], CY, NOW)).state
    await write_grown(redis)
    store = SteeringStore(redis)
    assert (await store.read()).emergency == emergency.emergency
    assert (await store.change(EmergencyOff("it is right"), CY, NOW + 1)).state.emergency is None
    assert (await store.change(RollBack("it is slow"), ADA, NOW + 2)).state.active == 1
    text: Any = await redis.hget(store.key, "state")
    assert b"of_later" not in text  # what this release does not know it does not hold up


async def test_what_is_filed_and_the_journal_are_read_too(redis: Redis) -> None:
    store = SteeringStore(redis)
    state = await with_all_there_is(redis)
    life = state.versions[1].model_copy(update={"number": 77})
    await redis.hset(store.filed_key, "77", orjson.dumps(grown(life.model_dump(mode="json"))))
    assert await store.life(77) == life
    entry = await store.journal_entry(NOW)
    assert entry is not None
    later = entry.model_copy(update={"revision": 99, "at": NOW + 5})
    member = b"%012d %s" % (99, orjson.dumps(grown(later.model_dump(mode="json"))))
    await redis.zadd(store.journal_key, {member: NOW + 5})
    assert await store.journal_entry(NOW + 6) == later


async def test_what_is_more_than_a_field_is_said_by_its_place(redis: Redis) -> None:
    await with_all_there_is(redis)
    text: Any = await redis.hget(SteeringStore(redis).key, "state")
    fields = grown(orjson.loads(text))
    fields["versions"]["1"]["stage"] = "of a later release"
    await write(redis, orjson.dumps(fields))
    with pytest.raises(ChangedBehindError, match=r"cannot read it, versions\.1\.stage"):
        await SteeringStore(redis).read()


def test_what_people_send_is_refused_by_its_place() -> None:
    with pytest.raises(ValidationError) as refused:
        SteeringSettings.model_validate({"rollout": {"alpha": 0.01, "of_later": 1}})
    (fault,) = refused.value.errors()
    assert (fault["loc"], fault["type"]) == (("rollout", "of_later"), "extra_forbidden")
