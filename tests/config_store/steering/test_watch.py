"""The steering state on a replica: quick to change, kept while Redis is away."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from config_store.shipped import default_document
from config_store.steering.commands import EmergencyOff, EmergencyOn
from config_store.steering.state import SteeringState
from config_store.steering.store import SteeringStore
from config_store.steering.watch import (
    LAGS_SECONDS,
    STOPPED_SECONDS,
    UP_TO_DATE_SECONDS,
    SteeringWatch,
)
from config_store.store import ConfigStore
from tests import past_steering
from tests.config_store.steering.people import ADA, CY, NOW
from tests.redis_server import RedisServer
from tests.waiting import PATIENCE_SECONDS, until

NEVER = 3600.0
ON = EmergencyOn("answers are wrong")
AT = datetime.fromtimestamp(NOW, UTC)


@pytest_asyncio.fixture
async def store(redis_server: RedisServer) -> AsyncIterator[SteeringStore]:
    """Give the operator's way, apart from the connection that the watch lives on."""
    client = redis_server.patient_client()
    try:
        await ConfigStore(client).bootstrap(default_document(), "up", "fresh", AT)
        yield SteeringStore(client)
    finally:
        await client.aclose()


def ignore(_: SteeringState) -> None:
    pass


def in_emergency(watch: SteeringWatch) -> bool:
    return watch.value is not None and watch.value.emergency is not None


async def test_a_change_is_pushed_without_the_poll(redis: Redis, store: SteeringStore) -> None:
    async with SteeringWatch(redis, ignore, poll_seconds=NEVER) as watch:
        assert (await watch.first(PATIENCE_SECONDS)).emergency is None
        await store.change(ON, ADA, NOW)
        await until(lambda: in_emergency(watch))
        await store.change(EmergencyOff("well"), CY, NOW)
        await until(lambda: not in_emergency(watch))


async def test_an_activation_past_steering_is_pushed_too(
    redis: Redis, store: SteeringStore, redis_server: RedisServer
) -> None:
    async with SteeringWatch(redis, ignore, poll_seconds=NEVER) as watch:
        await watch.first(PATIENCE_SECONDS)
        client = redis_server.patient_client()
        async with client:
            number = await past_steering.publish(client, default_document(), "old", "tool", AT)
            await past_steering.activate(client, number)
        await until(lambda: watch.value is not None and watch.value.active == 2)
    assert (await store.read()).active == 2


async def test_an_emergency_stays_while_redis_is_away_and_one_that_starts_late_sees_it(
    redis: Redis, store: SteeringStore, redis_server: RedisServer
) -> None:
    await store.change(ON, ADA, NOW)
    seen: list[SteeringState] = []
    async with SteeringWatch(redis, seen.append) as watch:
        await watch.first(PATIENCE_SECONDS)
        redis_server.kill()
        await until(lambda: watch.stale)
        assert in_emergency(watch)
        redis_server.start()
        await until(lambda: not watch.stale)
        late = redis_server.patient_client()
        async with late, SteeringWatch(late, ignore) as other:
            assert (await other.first(PATIENCE_SECONDS)).emergency is not None
    assert len(seen) == 1


async def test_a_redis_that_forgot_the_emergency_does_not_end_it(
    redis: Redis, store: SteeringStore, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    before = await store.found(CY, NOW)
    async with SteeringWatch(redis, ignore, poll_seconds=0.02) as watch:
        await watch.first(PATIENCE_SECONDS)
        await store.change(ON, ADA, NOW)
        await until(lambda: in_emergency(watch))
        with caplog.at_level(logging.WARNING):
            forgetful = redis_server.patient_client()
            async with forgetful:
                await forgetful.delete(store.key)
            await store.restore(before.model_copy(update={"revision": 0}), "last backup", CY, NOW)
            assert (await store.read()).emergency is None
            await until(lambda: "it lost the changes between them" in caplog.text)
            assert in_emergency(watch)
            await store.change(EmergencyOff("well"), CY, NOW + 1)
            await until(lambda: not in_emergency(watch))


async def test_a_watch_that_lags_says_so_once_and_when_it_is_over(
    redis: Redis, store: SteeringStore, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    now = [100.0]
    assert await store.read()
    async with SteeringWatch(redis, ignore, poll_seconds=0.02, clock=lambda: now[0]) as watch:
        assert not watch.up_to_date  # it knows nothing yet
        await watch.first(PATIENCE_SECONDS)
        await until(lambda: watch.up_to_date)
        redis_server.kill()
        await until(lambda: watch.stale)
        now[0] += UP_TO_DATE_SECONDS + 0.1
        assert not watch.lags
        assert not watch.up_to_date
        now[0] += LAGS_SECONDS
        for _ in range(3):
            watch.log_lag()
        assert caplog.text.count("has not been read for 7 s") == 1
        redis_server.start()
        await until(lambda: watch.up_to_date)
        for _ in range(3):
            watch.log_lag()
        assert caplog.text.count("is read again") == 1


async def test_a_state_that_nobody_can_trust_is_no_look(
    redis: Redis, store: SteeringStore, redis_server: RedisServer
) -> None:
    now = [100.0]
    await store.found(CY, NOW)
    async with SteeringWatch(redis, ignore, poll_seconds=0.02, clock=lambda: now[0]) as watch:
        await watch.first(PATIENCE_SECONDS)
        forger = redis_server.patient_client()
        async with forger:
            await forger.hset(store.key, "digest", "another")
        await until(lambda: watch.stale)
        now[0] += UP_TO_DATE_SECONDS + 0.1
        await asyncio.sleep(0.1)  # it looks again and again meanwhile
        assert not watch.up_to_date


async def test_its_age_is_the_time_since_the_last_look(
    redis: Redis, store: SteeringStore, redis_server: RedisServer
) -> None:
    now = [100.0]
    assert await store.read()
    async with SteeringWatch(redis, ignore, poll_seconds=0.02, clock=lambda: now[0]) as watch:
        await watch.first(PATIENCE_SECONDS)
        now[0] = 150.0
        await until(lambda: watch.age_seconds == 0.0)
        redis_server.kill()
        await until(lambda: watch.stale)
        now[0] = 190.0
        assert watch.age_seconds == 40.0
        redis_server.start()
        await until(lambda: watch.age_seconds == 0.0)


def stopped(watch: SteeringWatch) -> bool:
    return watch.was_stopped


async def test_a_process_that_stood_still_knows_it_until_it_has_looked(
    redis: Redis, store: SteeringStore
) -> None:
    later = [0.0]
    watch = SteeringWatch(
        redis, ignore, poll_seconds=NEVER, clock=lambda: time.monotonic() + later[0]
    )
    async with watch:
        await watch.first(PATIENCE_SECONDS)
        assert not stopped(watch)
        later[0] += STOPPED_SECONDS + 1
        assert stopped(watch)
        waiting = asyncio.create_task(watch.looked())
        await store.change(ON, ADA, NOW)  # its notice has the watch look
        await waiting
        assert in_emergency(watch)
        assert not stopped(watch)
        later[0] += STOPPED_SECONDS + 1
    assert not stopped(watch)  # nobody looks any more


async def test_a_look_that_was_on_its_way_in_a_stop_says_nothing_of_what_came_after_it(
    redis: Redis, store: SteeringStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    later, reads = [0.0], 0
    watch = SteeringWatch(
        redis, ignore, poll_seconds=NEVER, clock=lambda: time.monotonic() + later[0]
    )
    read, stopped_at = watch.store.read, 2

    async def stop_behind_it() -> SteeringState:
        nonlocal reads
        reads += 1
        found = await read()
        if reads == stopped_at:
            later[0] += STOPPED_SECONDS + 1
        return found

    monkeypatch.setattr(watch.store, "read", stop_behind_it)
    async with watch:
        await watch.first(PATIENCE_SECONDS)
        await store.change(ON, ADA, NOW)
        await until(lambda: in_emergency(watch))
        assert (reads, stopped(watch)) == (stopped_at, True)
        await store.change(EmergencyOff("well"), CY, NOW)
        await until(lambda: not in_emergency(watch))
        assert not stopped(watch)
