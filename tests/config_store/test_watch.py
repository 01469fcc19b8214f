import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from access.key_store import KeyStore
from access.keys import KeyRing, Role
from config_store.document import ConfigDocument, FeatureConfig
from config_store.errors import AlreadyWatchingError, NothingLoadedError
from config_store.shipped import default_document
from config_store.store import ConfigStore, Version
from config_store.watch import ConfigWatch, RedisWatch
from observability.background import Loops
from settings.redis_connection import open_redis
from tests import past_steering
from tests.deploying import deployed, drafted
from tests.waiting import PATIENCE_SECONDS, until

NOW = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
NEVER = 3600.0
CHANNEL = "ballast:config:changed"


def document(refresh_seconds: float) -> ConfigDocument:
    features = FeatureConfig(refresh_seconds=refresh_seconds)
    return default_document().model_copy(update={"features": features})


async def release(redis: Redis, refresh_seconds: float) -> int:
    return await deployed(redis, document(refresh_seconds))


def number(watch: ConfigWatch) -> int | None:
    return watch.value.number if watch.value is not None else None


def is_at(watch: ConfigWatch, wanted: int) -> bool:
    return number(watch) == wanted


@pytest_asyncio.fixture
async def writer(redis_server: Any) -> AsyncIterator[Redis]:
    """Give the operator's connection, apart from the one that the watch lives on."""
    client = open_redis(redis_server.url)
    try:
        yield client
    finally:
        await client.aclose()


async def test_the_active_version_is_there_at_the_start(redis: Redis) -> None:
    await release(redis, 5)
    seen: list[Version] = []
    async with ConfigWatch(redis, seen.append) as watch:
        version = await watch.first(PATIENCE_SECONDS)
        assert version.document == document(5)
        assert (watch._connected, watch.stale) == (True, False)
    assert seen == [version]


async def test_new_versions_are_pushed_without_the_poll(redis: Redis, writer: Redis) -> None:
    await release(writer, 5)
    # The poll is off, so that whatever arrives was pushed.
    async with ConfigWatch(redis, lambda _: None, poll_seconds=NEVER) as watch:
        await watch.first(PATIENCE_SECONDS)
        for refresh in range(6, 26):
            released = await release(writer, refresh)
            await until(partial(is_at, watch, released))


async def test_the_poll_finds_what_no_notice_told_and_that_is_an_alarm(
    redis: Redis, writer: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    await release(writer, 5)
    await drafted(writer, document(6))
    loops = Loops()
    async with ConfigWatch(redis, lambda _: None, poll_seconds=0.2, loops=loops) as watch:
        await watch.first(PATIENCE_SECONDS)
        await writer.set(ConfigStore(writer).active_key, 2)
        await until(lambda: number(watch) == 2)
        await until(lambda: loops.failures() == {f"watch {CHANNEL}": 1})
        assert "of which no notice came" in caplog.text
        # It listens anew, and hears of the next change.
        await until(lambda: not watch.stale)
        released = await release(writer, 7)
        await until(lambda: number(watch) == released)


async def test_a_poll_that_is_ahead_of_a_notice_is_no_alarm(redis: Redis, writer: Redis) -> None:
    await release(writer, 5)
    loops = Loops()
    async with ConfigWatch(redis, lambda _: None, poll_seconds=0.002, loops=loops) as watch:
        await watch.first(PATIENCE_SECONDS)
        for refresh in range(6, 26):
            released = await release(writer, refresh)
            await until(partial(is_at, watch, released))
        assert loops.failures() == {f"watch {CHANNEL}": 0}


async def test_what_is_taken_over_late_was_announced_before(redis: Redis, writer: Redis) -> None:
    refusals = 3

    def only_later(version: Version) -> None:
        nonlocal refusals
        if version.number == 2 and refusals:
            refusals -= 1
            raise ValueError("not yet")

    await release(writer, 5)
    loops = Loops()
    async with ConfigWatch(redis, only_later, poll_seconds=0.02, loops=loops) as watch:
        await watch.first(PATIENCE_SECONDS)
        await release(writer, 6)
        await until(lambda: number(watch) == 2)
        await asyncio.sleep(0.1)  # a few polls
        assert loops.failures() == {f"watch {CHANNEL}": 0}


async def test_nothing_is_told_when_nothing_changed(redis: Redis, writer: Redis) -> None:
    await release(writer, 5)
    seen: list[int] = []
    async with ConfigWatch(redis, lambda v: seen.append(v.number), poll_seconds=0.02) as watch:
        await watch.first(PATIENCE_SECONDS)
        await drafted(writer, document(6))  # which is announced too
        await asyncio.sleep(0.3)
    assert seen == [1]


async def test_it_outlives_kill_9_and_a_restart(redis_server: Any, redis: Redis) -> None:
    await release(redis, 5)
    seen: list[int] = []
    async with ConfigWatch(redis, lambda v: seen.append(v.number), poll_seconds=NEVER) as watch:
        await watch.first(PATIENCE_SECONDS)
        redis_server.kill()
        await until(lambda: not watch._connected)
        await asyncio.sleep(0.5)
        assert number(watch) == 1
        assert watch.stale
        redis_server.start()
        await until(lambda: watch._connected and not watch.stale)
        released = await release(redis, 6)
        await until(lambda: number(watch) == released)
    # The version came back out of the append-only file, so it was no news.
    assert seen == [1, 2]


async def test_it_catches_up_with_what_changed_while_it_was_cut_off(
    redis_server: Any, redis: Redis, writer: Redis
) -> None:
    await release(writer, 5)
    async with ConfigWatch(redis, lambda _: None, poll_seconds=NEVER) as watch:
        await watch.first(PATIENCE_SECONDS)
        redis_server.kill()
        await until(lambda: not watch._connected)
        redis_server.start()
        released = await release(writer, 6)
        await until(lambda: number(watch) == released)


async def test_a_redis_that_hangs_counts_as_away(redis_server: Any, writer: Redis) -> None:
    await release(writer, 5)
    # A client that would itself wait for ever: the watch does not lean on its timeouts.
    patient = Redis.from_url(redis_server.url, socket_timeout=None)
    async with patient, ConfigWatch(patient, lambda _: None, poll_seconds=0.2) as watch:
        await watch.first(PATIENCE_SECONDS)
        redis_server.freeze()
        await until(lambda: watch.stale)
        assert number(watch) == 1
        redis_server.thaw()
        await until(lambda: watch._connected)


async def test_it_starts_without_redis_and_finds_it_later(redis_server: Any, redis: Redis) -> None:
    await release(redis, 5)
    redis_server.kill()
    async with ConfigWatch(redis, lambda _: None) as watch:
        with pytest.raises(NothingLoadedError, match="REDIS_URL"):
            await watch.first(0.3)
        assert (watch.value, watch._connected, watch.stale) == (None, False, True)
        redis_server.start()
        assert (await watch.first(PATIENCE_SECONDS)).number == 1


async def test_a_version_that_cannot_be_read_leaves_the_last_one(
    redis: Redis, writer: Redis
) -> None:
    await release(writer, 5)
    async with ConfigWatch(redis, lambda _: None, poll_seconds=0.05) as watch:
        await watch.first(PATIENCE_SECONDS)
        damaged = b'{"document": "{}", "config_hash": "0"}'
        await writer.hset(ConfigStore(writer).versions_key, "2", damaged)
        await past_steering.activate(writer, 2)
        await until(lambda: watch.stale)
        assert (number(watch), watch._connected) == (1, True)
        await past_steering.activate(writer, 1)
        await until(lambda: not watch.stale)


async def test_a_version_that_is_not_taken_over_does_not_become_current(
    redis: Redis, writer: Redis
) -> None:
    def only_odd(version: Version) -> None:
        if version.number % 2 == 0:
            raise ValueError(f"version {version.number} is even")

    await release(writer, 5)
    async with ConfigWatch(redis, only_odd, poll_seconds=0.05) as watch:
        await watch.first(PATIENCE_SECONDS)
        await release(writer, 6)
        await until(lambda: watch.stale)
        assert number(watch) == 1
        await release(writer, 7)
        await until(lambda: number(watch) == 3)
        assert not watch.stale


async def test_stopping_leaves_no_task_and_no_connection(redis: Redis, writer: Redis) -> None:
    await release(writer, 5)
    before = asyncio.all_tasks()
    watches = [ConfigWatch(redis, lambda _: None) for _ in range(5)]
    for watch in watches:
        await watch.start()
    for watch in watches:
        await watch.first(PATIENCE_SECONDS)
    assert await writer.pubsub_numsub(CHANNEL) == [(CHANNEL.encode(), 5)]
    for watch in watches:
        await watch.stop()
    assert asyncio.all_tasks() == before
    for _ in range(3_000):  # Redis takes its own time to see that they are gone
        if await writer.pubsub_numsub(CHANNEL) == [(CHANNEL.encode(), 0)]:
            break
        await asyncio.sleep(0.01)
    assert await writer.pubsub_numsub(CHANNEL) == [(CHANNEL.encode(), 0)]
    assert [number(watch) for watch in watches] == [1] * 5


async def test_stopping_is_not_lost_on_a_watch_that_is_busy(redis: Redis, writer: Redis) -> None:
    # A notice at every moment of the stop: without care about one stop in eight hung for good.
    await release(writer, 5)
    for pause in range(60):
        watch = ConfigWatch(redis, lambda _: None, poll_seconds=0.01)
        await watch.start()
        await watch.first(PATIENCE_SECONDS)
        await writer.publish(CHANNEL, "again")
        for _ in range(pause % 30):
            await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await watch.stop()
        assert not watch._connected


async def test_stopping_works_while_redis_is_away(redis_server: Any, redis: Redis) -> None:
    redis_server.kill()
    before = asyncio.all_tasks()
    watch = ConfigWatch(redis, lambda _: None)
    await watch.stop()
    await watch.start()
    await asyncio.sleep(0.1)
    await watch.stop()
    assert asyncio.all_tasks() == before


async def test_it_can_be_started_again_but_not_twice(redis: Redis) -> None:
    await release(redis, 5)
    watch = ConfigWatch(redis, lambda _: None)
    await watch.start()
    with pytest.raises(AlreadyWatchingError):
        await watch.start()
    await watch.stop()
    async with watch:
        await until(lambda: watch._connected)


async def test_the_same_watch_follows_the_keys(redis: Redis, writer: Redis) -> None:
    keys = KeyStore(writer)
    rings: list[KeyRing] = []
    keys = KeyStore(redis)
    watch = RedisWatch(redis, keys.channel, keys.ring, rings.append, poll_seconds=NEVER)
    async with watch:
        assert len(await watch.first(PATIENCE_SECONDS)) == 0
        issued = await keys.create(Role.CLIENT, "desk", NOW)
        presented = issued.presented.encode()
        await until(lambda: rings[-1].verify(presented) is not None)
        await keys.revoke(issued.record.key_id)
        await until(lambda: rings[-1].verify(presented) is None)
    assert len(rings) == 3


async def test_the_watch_goes_on_after_an_exception_that_nobody_thought_of(
    redis: Redis, writer: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await release(writer, 5)
    loops = Loops()
    async with ConfigWatch(redis, lambda _: None, poll_seconds=0.02, loops=loops) as watch:
        await watch.first(2)
        follow = watch._follow

        async def odd() -> None:
            monkeypatch.setattr(watch, "_follow", follow)
            raise KeyError("message")

        monkeypatch.setattr(watch, "_follow", odd)
        await writer.client_kill_filter(_type="pubsub", skipme=True)
        await until(lambda: watch._follow == follow, 30)
        changed = await release(writer, 6)
        await until(lambda: is_at(watch, changed), 30)
        assert sum(loops.failures().values()) >= 1
        assert watch.stale is False
