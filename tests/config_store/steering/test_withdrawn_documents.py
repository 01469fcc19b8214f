"""Of a withdrawn version its document goes, in the very step, and nothing else of it."""

from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from config_store.errors import RefusedChangeError, WithdrawnVersionError
from config_store.steering.adoption import found_state
from config_store.steering.commands import (
    Deploy,
    RollBack,
    SetSettings,
    Validate,
    Validated,
    Withdraw,
)
from config_store.steering.drafts import spent
from config_store.steering.headers import header_of_record
from config_store.steering.rebuilding import rebuilt
from config_store.steering.settings import SteeringSettings
from config_store.steering.state import Stage, Strategy
from config_store.steering.store import SteeringStore
from config_store.steering.stored import StateCopy
from config_store.store import ConfigStore
from tests.config_store.steering.people import ADA, CY, GRACE, NOW, changed, drafted, first
from tests.config_store.steering.stores import document, founded, switch, validated
from tests.past_steering import publish


async def records(redis: Redis) -> dict[int, dict[str, Any]]:
    kept: Any = await redis.hgetall(ConfigStore(redis).versions_key)
    return {int(number): orjson.loads(record) for number, record in kept.items()}


async def with_documents(redis: Redis) -> list[int]:
    return sorted(number for number, each in (await records(redis)).items() if "document" in each)


async def test_it_goes_with_the_withdrawal_and_all_else_of_it_stays(redis: Redis) -> None:
    store, configs = await founded(redis), ConfigStore(redis)
    life = await store.draft(document(2), 'he said: "document":, and left', ADA, NOW)
    before = (await records(redis))[2]
    await store.change(Withdraw(2), GRACE, NOW)
    assert (await records(redis))[2] == {
        name: each for name, each in before.items() if name != "document"
    } | {"withdrawn": True}
    with pytest.raises(WithdrawnVersionError, match="Version 2 was withdrawn"):
        await configs.get(2)
    listed, _ = await configs.history()
    assert (listed.number, listed.config_hash, listed.unreadable) == (2, life.content_hash, "")
    assert (listed.author, listed.reason) == ("ada", 'he said: "document":, and left')
    assert listed.created is not None
    assert (await store.life(2)).stage is Stage.WITHDRAWN
    # Nor is its number given out again.
    assert (await store.draft(document(3), "m", ADA, NOW)).number == 3


async def test_what_another_draft_was_written_on_top_of_stays_as_long_as_that_waits(
    redis: Redis,
) -> None:
    store = await founded(redis)
    for number, parent in ((2, 1), (3, 2), (4, 3)):
        await store.draft(document(number), "m", ADA, NOW, parent)
    await store.change(Withdraw(2), ADA, NOW)
    await store.change(Withdraw(3), ADA, NOW)
    assert await with_documents(redis) == [1, 3, 4]
    await store.change(Withdraw(4), ADA, NOW)
    assert await with_documents(redis) == [1]


async def test_those_that_an_earlier_release_left_go_with_the_next_draft(redis: Redis) -> None:
    store = await founded(redis)
    key = ConfigStore(redis).versions_key
    kept: dict[Any, Any] = {}
    for number in (2, 3):
        await store.draft(document(number), "m", ADA, NOW)
        kept[str(number)] = await redis.hget(key, str(number))
    await store.change([Withdraw(2), Withdraw(3)], ADA, NOW)
    await redis.hset(key, mapping=kept)
    await validated(store, 4)
    assert await with_documents(redis) == [1, 4]


async def test_none_goes_that_may_have_answered_or_is_another(redis: Redis) -> None:
    store, configs = await founded(redis), ConfigStore(redis)
    # An older tool published it: nobody knows whether it was ever active.
    await publish(redis, document(2), "up", "m", (await configs.active()).created)
    await store.change(Withdraw(2), ADA, NOW)
    # What lies under the number of this one is another document.
    await store.draft(document(3), "m", ADA, NOW)
    other: Any = await redis.hget(configs.versions_key, "2")
    await redis.hset(configs.versions_key, "3", other)
    await store.change(Withdraw(3), ADA, NOW)
    assert await with_documents(redis) == [1, 2, 3]
    for number in (4, 5):
        await switch(store, await validated(store, number))
    await store.change(RollBack("r"), ADA, NOW)
    with pytest.raises(RefusedChangeError, match="only what was never deployed"):
        await store.change(Withdraw(5), ADA, NOW)
    assert await with_documents(redis) == [1, 2, 3, 4, 5]


async def test_one_that_the_state_lets_go_goes_too(redis: Redis) -> None:
    store = await founded(redis)
    await store.change(SetSettings(SteeringSettings(versions_kept=5)), CY, NOW)
    await store.draft(document(2), "m", ADA, NOW)
    await store.draft(document(3), "m", ADA, NOW, 2)
    await store.change(Withdraw(2), ADA, NOW)  # 3 waits on top of it
    assert 2 in await with_documents(redis)
    for number in range(4, 9):
        await switch(store, await validated(store, number))
    assert 2 not in (await store.read()).versions
    assert 2 not in await with_documents(redis)
    assert (await store.life(2)).stage is Stage.WITHDRAWN


async def test_an_older_state_that_is_restored_brings_none_into_force(redis: Redis) -> None:
    store = await founded(redis)
    number = await validated(store, 2)
    older = await store.read()
    await store.change(Withdraw(number), ADA, NOW)
    await redis.hset(store.key, "state", "spoilt")
    await store.restore(older, "a test", CY, NOW)
    assert (await store.read()).versions[number].stage is Stage.APPROVED
    with pytest.raises(RefusedChangeError, match="document of version 2 is not in Redis"):
        await store.change(Deploy(number, Strategy.BLUE_GREEN, "r", 1), ADA, NOW)
    assert (await store.read()).active == 1


async def test_what_may_have_answered_after_a_state_that_is_restored_keeps_its_document(
    redis: Redis,
) -> None:
    store = await founded(redis)
    number = await validated(store, 2)
    older = await store.read()
    await switch(store, number)
    await store.change(RollBack("it is slow"), ADA, NOW)
    await redis.hset(store.key, "state", "spoilt")
    await store.restore(older, "a test", CY, NOW)
    await store.change(Withdraw(number), ADA, NOW)
    assert await with_documents(redis) == [1, 2]


async def test_where_the_state_is_made_anew_it_is_withdrawn_still(redis: Redis) -> None:
    store = await founded(redis)
    await validated(store, 2)
    await store.change(Withdraw(2), ADA, NOW)
    await switch(store, await validated(store, 3))
    found = await rebuilt(redis)
    assert {number: life.stage for number, life in found.versions.items()} == {
        1: Stage.DEPRECATED,
        2: Stage.WITHDRAWN,
        3: Stage.ACTIVE,
    }
    headers = tuple(
        header_of_record(number, orjson.dumps(each))
        for number, each in sorted((await records(redis)).items())
    )
    without_steering = found_state(headers, 3)
    assert without_steering.versions[2].stage is Stage.WITHDRAWN
    assert without_steering.warm == (1,)
    # By Redis alone, as where the state and its copy are gone.
    await redis.delete(store.key, StateCopy(redis).key)
    state = await SteeringStore(redis).read()
    assert (state.active, state.warm, state.versions[2].stage) == (3, (1,), Stage.WITHDRAWN)


def test_room_is_made_where_drafts_come_and_go_and_for_nothing_that_waits() -> None:
    state = changed(drafted(drafted(first(), 2), 3), Withdraw(2))
    assert [each.number for each in spent(None, state, makes_room=True)] == [2]
    assert spent(state, state, makes_room=False) == []
    approved_again = changed(state, Validate(3), Validated(3, state.versions[3].content_hash))
    assert [each.number for each in spent(state, approved_again, makes_room=True)] == [2]
