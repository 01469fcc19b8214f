import asyncio
import threading
import time
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from config_store import store as store_module
from config_store.document import ConfigDocument, FeatureConfig, hash_of
from config_store.errors import (
    CorruptVersionError,
    NoActiveVersionError,
    StrayKeyError,
    UnknownVersionError,
    UnreadableVersionError,
)
from config_store.shipped import default_document
from config_store.store import LARGE, ConfigStore, Listed
from observability.timeline.event import Event, read_event
from observability.timeline.stream import TimelineStream
from settings.redis_names import redis_name
from tests.deploying import deployed
from tests.waiting import PATIENCE_SECONDS

NOW = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


def document(refresh_seconds: float) -> ConfigDocument:
    features = FeatureConfig(refresh_seconds=refresh_seconds)
    return default_document().model_copy(update={"features": features})


async def test_a_version_comes_back_as_it_was_made(redis: Redis) -> None:
    store = ConfigStore(redis)
    number = await store.bootstrap(document(7), "ada", "slower refresh", NOW)
    version = await store.get(number)
    assert (version.number, version.author, version.reason) == (1, "ada", "slower refresh")
    assert version.created == NOW
    assert version.document == document(7)
    assert version.config_hash == document(7).config_hash


def large_document() -> ConfigDocument:
    """Make one whose record is read by a thread."""
    known = default_document()
    defaults = {f"feature_{number}": 0.5 for number in range(LARGE // 10)}
    features = known.features.model_copy(update={"defaults": defaults})
    return known.model_copy(update={"features": features})


async def test_a_large_version_is_read_beside_the_event_loop_and_read_once(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, threads = ConfigStore(redis), list[int]()

    def noted(text: bytes) -> str:
        threads.append(threading.get_ident())
        return hash_of(text)

    large = large_document()
    number = await store.bootstrap(large, "ada", "many defaults", NOW)
    monkeypatch.setattr(store_module, "hash_of", noted)
    version = await store.get(number)
    assert version.config_hash == large.config_hash
    assert await store.get(number) == version
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()


async def test_what_was_changed_after_it_was_read_is_found(redis: Redis) -> None:
    store = ConfigStore(redis)
    number = await store.bootstrap(document(7), "ada", "slower refresh", NOW)
    await store.get(number)
    record: Any = await redis.hget(store.versions_key, str(number))
    await redis.hset(store.versions_key, str(number), record.replace(b"7.0", b"8.0"))
    with pytest.raises(CorruptVersionError):
        await store.get(number)
    await redis.hset(store.versions_key, str(number), record)
    assert (await store.get(number)).document == document(7)


@pytest.mark.parametrize("number", [0, -1, 2])
async def test_a_version_that_does_not_exist_is_refused(redis: Redis, number: int) -> None:
    store = ConfigStore(redis)
    await store.bootstrap(document(1), "ada", "first", NOW)
    with pytest.raises(UnknownVersionError, match=str(number)):
        await store.get(number)
    assert (await store.active()).number == 1


async def test_before_a_start_none_is_active(redis: Redis) -> None:
    with pytest.raises(NoActiveVersionError):
        await ConfigStore(redis).active()


async def test_one_of_many_bootstraps_wins_and_all_hear_which(redis: Redis) -> None:
    store = ConfigStore(redis)
    answers = await asyncio.gather(
        *(store.bootstrap(document(s), f"author {s}", "fresh machine", NOW) for s in range(1, 21))
    )
    assert set(answers) == {1}
    assert len(await store.history()) == 1
    assert (await store.active()).number == 1


async def test_bootstrap_leaves_what_an_operator_deployed(redis: Redis) -> None:
    store = ConfigStore(redis)
    await store.bootstrap(document(1), "machine", "fresh", NOW)
    await deployed(redis, document(2))
    assert await store.bootstrap(document(9), "machine", "fresh", NOW) == 2
    assert (await store.active()).document == document(2)


async def test_history_is_newest_first_and_limited(redis: Redis) -> None:
    store = ConfigStore(redis)
    assert await store.history() == ()
    for day in range(1, 6):
        await deployed(redis, document(day), message=f"day {day}")
    history = await store.history(limit=3)
    assert [version.number for version in history] == [5, 4, 3]
    assert [version.reason for version in history] == ["day 5", "day 4", "day 3"]


async def test_a_version_that_cannot_be_read_hides_no_other(redis: Redis) -> None:
    store = ConfigStore(redis)
    await store.bootstrap(document(1), "ada", "first", NOW)
    await redis.hset(store.versions_key, "2", b"no JSON")
    stored = await redis.hget(store.versions_key, "1")
    assert stored is not None
    later = orjson.loads(stored)
    text = later["document"].replace('"features"', '"of_a_later_release"')
    later |= {"document": text, "config_hash": hash_of(text.encode()), "author": "grace"}
    await redis.hset(store.versions_key, "3", orjson.dumps(later))
    third, second, first = await store.history()
    assert (first.author, first.unreadable) == ("ada", "")
    assert (second.author, second.created) == ("", None)
    assert second.unreadable
    assert (third.author, third.created) == ("grace", NOW)
    assert "cannot be used by this release" in third.unreadable


async def test_the_first_version_is_announced(redis: Redis) -> None:
    store = ConfigStore(redis)
    async with redis.pubsub(ignore_subscribe_messages=True) as notices:
        await notices.subscribe(store.channel)
        await notices.get_message(timeout=PATIENCE_SECONDS)
        await store.bootstrap(document(1), "ada", "first", NOW)
        heard = await notices.get_message(timeout=PATIENCE_SECONDS)
    assert heard is not None
    assert heard["data"] == b"activated 1"


async def test_a_document_changed_behind_the_store_is_found_out(redis: Redis) -> None:
    store = ConfigStore(redis)
    await store.bootstrap(document(7), "ada", "good", NOW)
    stored = await redis.hget(store.versions_key, "1")
    assert stored is not None
    record = orjson.loads(stored)
    record["document"] = record["document"].replace(
        '"refresh_seconds":7.0', '"refresh_seconds":8.0'
    )
    await redis.hset(store.versions_key, "1", orjson.dumps(record))
    with pytest.raises(CorruptVersionError, match="version 1"):
        await store.get(1)


async def store_text(redis: Redis, text: str) -> None:
    """Keep a document that another release might have written, with its right hash."""
    record = {
        "config_hash": hash_of(text.encode()),
        "author": "another release",
        "reason": "upgrade",
        "created": NOW,
        "document": text,
    }
    await redis.hset(ConfigStore(redis).versions_key, "1", orjson.dumps(record))


async def test_a_version_of_an_older_release_reads_with_its_own_hash(redis: Redis) -> None:
    fields = orjson.loads(document(7).canonical())
    del fields["features"]["stale_after_seconds"]
    text = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS).decode()
    await store_text(redis, text)
    version = await ConfigStore(redis).get(1)
    assert version.document == document(7)
    assert version.config_hash != document(7).config_hash


async def test_a_version_from_when_every_family_named_a_model_is_read(redis: Redis) -> None:
    fields = orjson.loads(document(7).canonical())
    for family, served in fields["serving"].items():
        fields["serving"][family] = {"model": "a/b", "alias": "old", "slo_ms": 9.0} | served
    fields["serving"]["tail"] |= {"slo_ms": 20.0, "alias": "challenger"}
    text = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS).decode()
    await store_text(redis, text)
    version = await ConfigStore(redis).get(1)
    assert version.config_hash == hash_of(text.encode())
    serving = version.document.serving
    assert (serving.tail.slo_ms, serving.tail.alias) == (20.0, "challenger")
    expected = document(7).serving.model_copy(update={"tail": serving.tail})
    assert serving == expected


async def test_a_version_from_before_a_family_gets_it_as_shipped(redis: Redis) -> None:
    fields = orjson.loads(document(7).canonical())
    for family in ("capacity", "regime"):
        del fields["serving"][family], fields["safety"]["families"][family]
    fields["serving"]["tail"]["slo_ms"] = 20.0
    await store_text(redis, orjson.dumps(fields).decode())
    read = (await ConfigStore(redis).get(1)).document
    assert read.safety == document(7).safety
    assert read.serving.tail.slo_ms == 20.0
    tail = document(7).serving.tail
    assert read.serving.model_copy(update={"tail": tail}) == document(7).serving


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "JSON"),
        ("[]", "document"),
        ('{"serving": 1, "safety": {"families": {}}}', "serving"),
        ('{"serving": {"regime": 1}, "safety": {"families": {}}}', "serving.regime"),
    ],
)
async def test_a_version_that_is_no_document_is_refused(redis: Redis, text: str, said: str) -> None:
    await store_text(redis, text)
    with pytest.raises(UnreadableVersionError, match=said):
        await ConfigStore(redis).get(1)


async def test_a_version_of_a_newer_release_is_refused_by_field(redis: Redis) -> None:
    fields = orjson.loads(document(7).canonical()) | {"signal_filter": {}}
    await store_text(redis, orjson.dumps(fields).decode())
    with pytest.raises(UnreadableVersionError, match="signal_filter"):
        await ConfigStore(redis).get(1)


async def activations(redis: Redis) -> list[Event]:
    return [read_event(each.data) for each in await TimelineStream(redis).read(100)]


async def test_what_a_start_activates_is_noted_for_the_timeline_in_the_same_step(
    redis: Redis,
) -> None:
    store, before = ConfigStore(redis), time.time()
    await store.bootstrap(document(1), "adá", 'so "slow"', NOW)
    await store.bootstrap(document(9), "machine", "fresh", NOW)  # which changes nothing
    (noted,) = await activations(redis)
    assert noted.summary == 'Configuration 1 by adá was activated: so "slow"'
    assert noted.details == {
        "version": 1,
        "before": 0,
        "author": "adá",
        "reason": 'so "slow"',
        "config_hash": document(1).config_hash,
    }
    assert before - 1 < noted.time < time.time() + 1


async def test_of_many_that_start_a_machine_at_once_one_activation_is_noted(redis: Redis) -> None:
    store = ConfigStore(redis)
    await asyncio.gather(
        *(store.bootstrap(document(s), f"author {s}", "race", NOW) for s in range(1, 11))
    )
    assert len(await activations(redis)) == 1


async def test_a_start_that_cannot_be_noted_changes_nothing(redis: Redis) -> None:
    store = ConfigStore(redis)
    await redis.set(redis_name(redis, "timeline"), "no stream")
    with pytest.raises(StrayKeyError, match="ballast:timeline in Redis is of another type"):
        await store.bootstrap(document(1), "ada", "first", NOW)
    with pytest.raises(NoActiveVersionError):
        await store.active()
    assert await store.history() == ()


async def test_a_long_list_holds_up_no_loop(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    store, here, read_in = ConfigStore(redis), threading.get_ident(), set[int]()
    for _ in range(30):
        await deployed(redis, default_document())
    await redis.hset(store.versions_key, "by hand", "nothing")
    listed = store_module._listed

    def noted(number: int, record: bytes | str) -> Listed:
        read_in.add(threading.get_ident())
        return listed(number, record)

    monkeypatch.setattr(store_module, "_listed", noted)
    assert [each.number for each in await store.history(25)] == list(range(30, 5, -1))
    assert here not in read_in
