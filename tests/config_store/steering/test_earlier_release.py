"""An earlier release reads a state that uses nothing of later ones, and names what does."""

from typing import Any

import orjson
import pytest
from pydantic import ValidationError
from redis.asyncio import Redis

from config_store.steering.commands import (
    AddOverride,
    Approve,
    Deploy,
    EmergencyOn,
    RollBack,
    SetSettings,
    Validated,
    Withdraw,
)
from config_store.steering.rebuilding import rebuilt
from config_store.steering.settings import SteeringSettings
from config_store.steering.state import Stage, Strategy
from config_store.steering.store import SteeringStore
from config_store.steering.stored import StateCopy
from config_store.store import ConfigStore
from tests import past_steering
from tests.config_store.steering.people import ADA, BO, CY, NOW
from tests.config_store.steering.stores import AT, document, founded, switch, validated
from tests.past_steering import PastLife


async def written(redis: Redis) -> dict[str, dict[str, Any]]:
    """Give the lives that are stored, as they are written: in the state, and as they are filed."""
    store = SteeringStore(redis)
    text: Any = await redis.hget(store.key, "state")
    copied: Any = await redis.hget(StateCopy(redis).key, "state")
    assert copied == text
    filed: Any = await redis.hgetall(store.filed_key)
    lives: dict[str, dict[str, Any]] = orjson.loads(text)["versions"]
    return lives | {number.decode(): orjson.loads(life) for number, life in filed.items()}


async def test_it_reads_all_that_does_not_use_what_came_later(redis: Redis) -> None:
    store = await founded(redis)
    await store.change(SetSettings(SteeringSettings(versions_kept=5)), CY, NOW)
    for seconds in range(2, 9):
        await switch(store, await validated(store, seconds))
    await store.change(RollBack("it is slow"), ADA, NOW)
    life = await store.draft(document(9), "approved", ADA, NOW)
    await store.change(Validated(life.number, life.content_hash), ADA, NOW)
    await store.change(Approve(life.number, life.content_hash), BO, NOW)
    await store.change(Deploy(life.number, Strategy.CANARY, "r", 7), ADA, NOW)
    await store.draft(document(10), "waits", ADA, NOW)
    await store.draft(document(11), "not needed", ADA, NOW)
    await store.change(Withdraw(11), ADA, NOW)
    override = AddOverride("o1", "tail", "p99_pred", 1.0, "a sale", NOW + 60)
    await store.change(override, CY, NOW)
    found = await written(redis)
    assert found.keys() == {str(number) for number in range(1, 12)}
    state = await store.read()
    for each in found.values():
        past = PastLife.model_validate(each)
        if past.number in state.versions:
            assert past.stage == state.versions[past.number].stage


async def test_it_reads_what_an_installation_without_steering_becomes(redis: Redis) -> None:
    store = SteeringStore(redis)
    for seconds in range(1, 4):
        await past_steering.publish(redis, document(seconds), "up", "by hand", AT)
    await past_steering.activate(redis, 3)
    await store.found(CY, NOW)
    lives = [PastLife.model_validate(each) for each in (await written(redis)).values()]
    assert [each.stage for each in lives] == [Stage.DEPRECATED, Stage.DEPRECATED, Stage.ACTIVE]


async def test_it_reads_what_was_active_in_a_state_that_was_made_anew(redis: Redis) -> None:
    store = await founded(redis)
    await switch(store, await validated(store, 2))
    state = await rebuilt(redis)
    for life in state.versions.values():
        PastLife.model_validate(life.model_dump(mode="json"))


async def test_what_waits_since_before_steering_is_known_no_more_once_it_is_deployed(
    redis: Redis,
) -> None:
    store = await founded(redis)
    await past_steering.publish(redis, document(2), "old", "by an old tool", AT)
    life = (await store.found(CY, NOW)).versions[2]
    assert (await written(redis))["2"]["adopted"]
    await store.change(Validated(2, life.content_hash), ADA, NOW)
    await switch(store, 2)
    assert PastLife.model_validate((await written(redis))["2"]).stage is Stage.ACTIVE
    await past_steering.publish(redis, document(3), "old", "by an old tool", AT)
    await store.found(CY, NOW)
    assert (await written(redis))["3"]["adopted"]
    await past_steering.activate(redis, 3)
    await store.found(CY, NOW)
    assert PastLife.model_validate((await written(redis))["3"]).stage is Stage.ACTIVE


async def test_it_refuses_by_name_what_uses_more(redis: Redis) -> None:
    store = await founded(redis)
    number = await validated(store, 2)
    await store.change(Deploy(number, Strategy.CANARY, "r", 1), ADA, NOW)
    await store.change(EmergencyOn("it is wrong"), ADA, NOW)
    life = (await written(redis))["2"]
    with pytest.raises(ValidationError, match="interrupted"):
        PastLife.model_validate(life)
    assert (await SteeringStore(redis).read()).versions[2].interrupted


async def test_the_record_of_a_version_says_to_it_what_it_said(redis: Redis) -> None:
    store, configs = await founded(redis), ConfigStore(redis)
    await store.draft(document(2), "m", ADA, NOW)
    record: Any = await redis.hget(configs.versions_key, "2")
    assert list(orjson.loads(record)) == ["config_hash", "author", "reason", "created", "document"]
