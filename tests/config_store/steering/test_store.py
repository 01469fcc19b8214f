"""The steering state in a real Redis: races, restarts, older installations, tampering."""

import asyncio
import time
from typing import Any

import pytest
from redis.asyncio import Redis

from config_store.errors import (
    ChangedBehindError,
    LostRaceError,
    NoActiveVersionError,
    NotPermittedError,
    RefusedChangeError,
)
from config_store.steering.commands import (
    Abort,
    Actor,
    AddOverride,
    Advance,
    Approve,
    Deploy,
    EmergencyOff,
    EmergencyOn,
    Expire,
    Judge,
    RollBack,
    SetSettings,
    Validated,
    Withdraw,
)
from config_store.steering.settings import RolloutSettings, SteeringSettings
from config_store.steering.state import Stage, Strategy, Verdict
from config_store.steering.status import problems
from config_store.steering.store import SteeringStore
from config_store.steering.times import MOST_AHEAD_SECONDS, stamp
from config_store.store import ConfigStore
from config_store.strays import Strays
from observability.timeline.event import read_event
from observability.timeline.stream import TimelineStream
from tests import past_steering
from tests.config_store.steering.people import ADA, BO, CY, NOW
from tests.config_store.steering.stores import AT, document, founded, kinds, switch, validated
from tests.redis_server import RedisServer


async def test_nothing_is_steered_before_anything_is_active(redis: Redis) -> None:
    store = SteeringStore(redis)
    for ask in (store.read(), store.change(EmergencyOn("no"), ADA, NOW)):
        with pytest.raises(NoActiveVersionError):
            await ask


async def test_a_version_from_draft_to_active(redis: Redis) -> None:
    store, configs = await founded(redis), ConfigStore(redis)
    number = await validated(store, 2)
    assert (await configs.active()).number == 1
    state = await switch(store, number)
    assert await store.read() == state
    version = await configs.active()
    assert (version.number, version.document, version.author) == (2, document(2), "ada")
    assert version.config_hash == state.versions[2].content_hash
    assert await kinds(redis) == [
        "config_activated",  # the bootstrap's
        "config_drafted",
        "config_validated",
        "rollout_begun",
        "config_activated",
    ]


async def test_a_refused_change_leaves_nothing(redis: Redis) -> None:
    store = await founded(redis)
    before = await redis.keys("*")
    with pytest.raises(RefusedChangeError):
        await store.change(RollBack("nothing to go back to"), ADA, NOW)
    assert await redis.keys("*") == before


async def test_several_commands_are_one_change(redis: Redis) -> None:
    store = await founded(redis)
    life = await store.draft(document(2), "m", ADA, NOW)
    commands = (
        Validated(life.number, life.content_hash),
        Deploy(life.number, Strategy.BLUE_GREEN, "r", 1),
    )
    assert (await store.change(commands, ADA, NOW)).state.active == 2
    with pytest.raises(RefusedChangeError):  # the second one is refused, and so the first
        await store.change((EmergencyOn("x"), Abort("none", "x")), ADA, NOW)
    assert (await store.read()).emergency is None


async def test_drafts_of_many_at_once_get_every_number_once(redis: Redis) -> None:
    store = await founded(redis)
    lives = await asyncio.gather(
        *(store.draft(document(at), f"try {at}", ADA, NOW) for at in range(2, 12))
    )
    assert sorted(each.number for each in lives) == list(range(2, 12))
    configs = ConfigStore(redis)
    for at, life in enumerate(lives, start=2):
        assert (await configs.get(life.number)).document == document(at)
        assert life.content_hash == document(at).config_hash
    assert (await store.read()).versions.keys() == set(range(1, 12))


async def test_of_two_deploys_at_once_one_is_made(redis: Redis, redis_server: RedisServer) -> None:
    store = await founded(redis)
    numbers = [await validated(store, seconds) for seconds in (2, 3)]
    other = redis_server.patient_client()
    try:
        found = await asyncio.gather(
            *(
                each.change(Deploy(number, Strategy.CANARY, f"r{number}", 1), ADA, NOW)
                for each, number in zip((store, SteeringStore(other)), numbers, strict=True)
            ),
            return_exceptions=True,
        )
    finally:
        await other.aclose()
    (refused,) = (each for each in found if isinstance(each, BaseException))
    assert "goes on" in str(refused)
    assert problems(await store.read()) == ()


async def test_changes_that_race_are_all_made_one_after_another(
    redis: Redis, redis_server: RedisServer
) -> None:
    store = await founded(redis)
    clients = [redis_server.patient_client() for _ in range(3)]
    overrides = [
        AddOverride(f"o{at}", "tail", f"field {at}", 1.0, "race", NOW + 60) for at in range(12)
    ]
    try:
        stores = [SteeringStore(each) for each in clients]
        await asyncio.gather(
            *(stores[at % 3].change(each, CY, NOW) for at, each in enumerate(overrides))
        )
    finally:
        for each in clients:
            await each.aclose()
    state = await store.read()
    assert {each.id for each in state.overrides} == {each.id for each in overrides}
    assert state.revision == 1 + len(overrides)
    assert await kinds(redis) == ["config_activated", *["override_added"] * len(overrides)]


async def test_a_change_that_changes_nothing_writes_nothing(redis: Redis) -> None:
    store = await founded(redis)
    first = await store.change(EmergencyOn("wrong"), ADA, NOW)
    again = await store.change(EmergencyOn("wrong again"), ADA, NOW)
    assert (again.state, again.events) == (first.state, ())


async def test_each_change_is_announced_on_the_channel(redis: Redis) -> None:
    store = await founded(redis)
    async with redis.pubsub(ignore_subscribe_messages=True) as notices:
        await notices.subscribe(store.channel)
        await notices.get_message(timeout=20)
        await store.change(EmergencyOn("wrong"), ADA, NOW)
        heard = await notices.get_message(timeout=20)
    assert heard is not None
    assert heard["data"] == b"steered 2"


async def test_an_older_installation_is_taken_over_as_it_is(redis: Redis) -> None:
    configs, store = ConfigStore(redis), SteeringStore(redis)
    for seconds in range(1, 7):
        await past_steering.publish(redis, document(seconds), f"author {seconds}", "by hand", AT)
    await past_steering.activate(redis, 5)
    state = await store.read()
    assert await store.found(CY, NOW) == await store.read() == state
    assert (state.active, state.warm) == (5, (4, 3, 2))
    assert problems(state) == ()
    assert state.versions[4].author == "author 4"
    assert state.versions[4].content_hash == document(4).config_hash
    assert state.versions[6].stage is Stage.DRAFT
    assert (await store.change(RollBack("slow"), ADA, NOW)).state.active == 4
    assert (await configs.active()).document == document(4)
    assert await store.draft(document(9), "m", ADA, NOW) == (await store.read()).versions[7]


async def test_versions_from_long_before_steering_have_a_life(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config_store.steering.seen.MOST_FOUND", 2)
    store = SteeringStore(redis)
    for seconds in range(1, 6):
        await past_steering.publish(redis, document(seconds), f"author {seconds}", "by hand", AT)
    await past_steering.activate(redis, 5)
    assert (await store.found(CY, NOW)).versions.keys() == {4, 5}
    life = await store.life(2)
    assert (life.author, life.stage, life.parent) == ("author 2", Stage.DEPRECATED, 1)
    assert life.content_hash == document(2).config_hash


async def test_an_activation_past_steering_is_taken_in_and_told(redis: Redis) -> None:
    store = await founded(redis)
    number = await validated(store, 2)
    await store.change(Deploy(number, Strategy.CANARY, "r", 1), ADA, NOW)
    third = await past_steering.publish(redis, document(3), "old", "by an old tool", AT)
    await past_steering.activate(redis, third)
    state = await store.read()
    assert (state.active, state.warm, state.rollout) == (3, (1,), None)
    assert problems(state) == ()
    assert state.versions[2].stage is Stage.ROLLED_BACK
    assert state.last_rollout is not None
    assert "past steering" in state.last_rollout.note
    assert await store.found(CY, NOW) == state
    assert (await kinds(redis))[-1] == "config_adopted"
    assert await store.read() == state
    assert (await store.change(RollBack("not asked for"), ADA, NOW)).state.active == 1


async def test_a_pointer_to_nowhere_is_set_right_by_the_next_change(redis: Redis) -> None:
    configs, store = ConfigStore(redis), await founded(redis)
    await store.found(CY, NOW)
    for wrong in ("77", "seven", None):
        await (
            redis.delete(configs.active_key)
            if wrong is None
            else redis.set(configs.active_key, wrong)
        )
        assert (await store.read()).active == 1
        await store.found(CY, NOW)
        assert (await configs.active()).number == 1


async def test_a_state_that_was_changed_by_hand_is_not_gone_by_and_can_be_restored(
    redis: Redis,
) -> None:
    store = await founded(redis)
    number = await validated(store, 2)
    known = await switch(store, number)
    with pytest.raises(RefusedChangeError, match="nothing to restore"):
        await store.restore(known, "because", ADA, NOW)
    text: Any = await redis.hget(store.key, "state")
    await redis.hset(store.key, "state", text.replace(b'"active":2', b'"active":1'))
    for ask in (store.read(), store.change(RollBack("x"), ADA, NOW)):
        with pytest.raises(ChangedBehindError, match="changed by something else"):
            await ask
    with pytest.raises(NotPermittedError):
        await store.restore(known, "because", Actor("vi", type(ADA.role).VIEWER), NOW)
    restored = await store.restore(known, "somebody edited it", ADA, NOW)
    assert await store.read() == restored
    assert restored.model_copy(update={"revision": known.revision}) == known
    assert (await kinds(redis))[-1] == "steering_restored"


async def test_a_state_that_was_removed_can_be_restored(redis: Redis) -> None:
    store = await founded(redis)
    known = (await store.change(EmergencyOn("wrong"), ADA, NOW)).state
    await redis.delete(store.key)
    # It is not taken for an installation that knew no steering: who knows better keeps that.
    with pytest.raises(ChangedBehindError, match="it was removed by something else"):
        await store.read()
    restored = await store.restore(known, "it was removed", ADA, NOW)
    assert (await store.read()).emergency == known.emergency
    assert restored.revision == known.revision + 1


async def test_a_version_without_its_document_does_not_become_active(redis: Redis) -> None:
    configs, store = ConfigStore(redis), await founded(redis)
    number = await validated(store, 2)
    await switch(store, number)
    await redis.hdel(configs.versions_key, "1")
    with pytest.raises(RefusedChangeError, match="document of version 1 is not in Redis"):
        await store.change(RollBack("slow"), ADA, NOW)
    await redis.hdel(configs.versions_key, "2")  # what does not switch is possible all the same
    assert (await store.change(EmergencyOn("lost"), ADA, NOW)).state.emergency is not None


async def test_a_way_out_is_left_where_neither_version_that_is_named_has_its_document(
    redis: Redis,
) -> None:
    configs, store = ConfigStore(redis), await founded(redis)
    number = await validated(store, 2)
    await redis.hdel(configs.versions_key, "1")
    await redis.set(configs.active_key, "9")  # what something else activated is not there either
    assert (await store.change(EmergencyOn("lost"), ADA, NOW)).state.emergency is not None
    await store.change(EmergencyOff("found"), CY, NOW)
    assert (await switch(store, number)).active == number


async def test_no_number_is_given_out_again_where_documents_were_removed(redis: Redis) -> None:
    configs, store = ConfigStore(redis), await founded(redis)
    for at in range(2, 6):
        await store.draft(document(at), "m", ADA, NOW)
    await redis.hdel(configs.versions_key, "2", "3")
    assert (await store.draft(document(6), "m", ADA, NOW)).number == 6
    assert await past_steering.publish(redis, document(7), "old", "tool", AT) == 7
    await redis.hdel(configs.versions_key, "7")
    # Nobody steers by one that was published past steering and is gone.
    assert (await store.draft(document(8), "m", ADA, NOW)).number == 7
    await redis.hdel(configs.versions_key, "7")
    assert (await store.draft(document(9), "m", ADA, NOW)).number == 8
    assert [each.number for each in await configs.history()] == [8, 6, 5, 4, 1]
    assert sorted((await store.read()).versions) == list(range(1, 9))


def by_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what is changed from now on the time of Redis, as it has everywhere but in tests."""
    monkeypatch.setattr("config_store.steering.times.stamp", stamp)


async def test_of_two_clocks_that_are_apart_comes_one_history(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_redis(monkeypatch)
    store, apart, begun = await founded(redis), MOST_AHEAD_SECONDS - 60, time.time()
    await store.change(SetSettings(SteeringSettings(approvals_needed=1)), CY, begun + apart)
    life = await store.draft(document(2), "m", ADA, begun - apart)
    await store.change(Validated(2, life.content_hash), ADA, begun + apart)
    await store.change(Approve(2, life.content_hash), BO, begun - apart)
    deploy = Deploy(2, Strategy.BLUE_GREEN, "r", 1)
    state = (await store.change(deploy, ADA, begun + apart)).state
    await store.change(EmergencyOn("wrong"), ADA, begun - apart)
    now = time.time()
    checked, (approval,) = state.versions[2].checked, state.versions[2].approvals
    assert checked is not None
    moments = [begun, life.created, checked, approval.at, state.changed, now]
    assert moments == sorted(moments)
    told = [read_event(each.data).time for each in await TimelineStream(redis).read(1000)]
    assert told == sorted(told)
    assert told[-1] <= now + 0.001  # the timeline has whole milliseconds
    record = await ConfigStore(redis).get(2)
    assert record.created.timestamp() == pytest.approx(life.created, abs=0.001)
    entry = await store.journal_entry(now)
    assert entry is not None
    assert (entry.active, entry.emergency) == (2, "wrong")


async def test_the_end_of_an_emergency_is_never_earlier_than_the_clock_of_redis(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_redis(monkeypatch)
    store = await founded(redis)
    ended = (await store.change(EmergencyOff("well"), CY, time.time() - 3600)).state
    assert ended.released is not None
    assert ended.released > time.time() - 60


async def test_old_lives_are_filed_and_found(redis: Redis) -> None:
    store = await founded(redis)
    few = SetSettings(SteeringSettings(versions_kept=5))
    await store.change(few, CY, NOW)
    for at in range(2, 12):
        life = await store.draft(document(at), "m", ADA, NOW)
        await store.change(Withdraw(life.number), CY, NOW)
    state = await store.read()
    assert sorted(state.versions) == [1, 8, 9, 10, 11]
    lives = [await store.life(number) for number in range(2, 12)]
    assert [each.number for each in lives] == list(range(2, 12))
    assert {each.stage for each in lives} == {Stage.WITHDRAWN}
    assert await Strays(redis).find() == []
    assert (await store.draft(document(12), "m", ADA, NOW)).number == 12
    with pytest.raises(RefusedChangeError, match="no version 99"):
        await store.life(99)


async def test_what_was_in_force_and_who_let_it_in(redis: Redis) -> None:
    store = await founded(redis)
    await store.change(SetSettings(SteeringSettings(approvals_needed=1)), CY, NOW)
    life = await store.draft(document(2), "m", ADA, NOW)
    await store.change(Validated(2, life.content_hash), ADA, NOW)
    await store.change(Approve(2, life.content_hash), BO, NOW)
    lead = RolloutSettings().lead_seconds
    await store.change(Deploy(2, Strategy.CANARY, "r", 1, shares=(0.2, 1.0)), ADA, NOW + 10)
    for at, step in ((NOW + 20, 0), (NOW + 30, 1)):
        verdict = Judge("r", step, Verdict.GOOD)
        await store.change((verdict, Advance("r", step)), ADA, at)
    await store.change(EmergencyOn("wrong"), BO, NOW + 40)
    found = [await store.journal_entry(NOW + at) for at in (-1, 5, 10, 25, 35, 45)]
    assert found[0] is None
    entries = [each for each in found if each is not None]
    assert [each.active for each in entries] == [1, 1, 1, 2, 2]
    assert [each.share for each in entries] == [0.0, 0.2, 1.0, 0.0, 0.0]
    assert [each.share_from for each in entries[1:3]] == [NOW + 10 + lead, NOW + 20 + lead]
    assert (entries[3].by, entries[3].author, entries[3].approved_by) == ("ada", "ada", ("bo",))
    assert [each.emergency for each in entries] == [None] * 4 + ["wrong"]


async def test_a_rollout_leads_from_the_clock_of_redis(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await founded(redis)
    number = await validated(store, 2)
    by_redis(monkeypatch)
    command, asked_at = Deploy(number, Strategy.CANARY, "r", 1), time.time() - 3600
    with monkeypatch.context() as late:
        late.setattr("config_store.steering.times.SOON_SECONDS", -1.0)
        with pytest.raises(LostRaceError):
            await store.change(command, ADA, asked_at)
    rollout = (await store.change(command, ADA, asked_at)).state.rollout
    assert rollout is not None
    assert rollout.step_begun > time.time() - 60


async def test_a_clock_from_far_ahead_is_refused_but_for_what_cannot_wait(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_redis(monkeypatch)
    store = await founded(redis)
    ahead = time.time() + 10 * MOST_AHEAD_SECONDS
    with pytest.raises(RefusedChangeError, match="ahead of the clock of Redis"):
        await store.draft(document(2), "m", ADA, ahead)
    state = (await store.change(EmergencyOn("wrong"), ADA, ahead)).state
    assert state.changed < time.time() + 60


async def test_by_a_clock_that_is_ahead_nothing_ends_early(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, now = await founded(redis), time.time()
    holds = AddOverride("o1", "tail", "p99_pred", 1.0, "a sale", now + 100)
    ends = AddOverride("o2", "tail", "p95_pred", 1.0, "a sale", NOW + 1)
    await store.change((holds, ends), CY, NOW)
    by_redis(monkeypatch)
    state = (await store.change(Expire(), ADA, now + 10 * MOST_AHEAD_SECONDS)).state
    assert [each.id for each in state.overrides] == ["o1"]
