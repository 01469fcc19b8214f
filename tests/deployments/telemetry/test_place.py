"""What one source gives comes into the store once, whatever becomes of its features."""

import logging
from typing import Any

import pytest
from redis.asyncio import Redis

from deployments.telemetry.place import PUBLISH_AGAIN_SECONDS, SourcePlace
from features.store import key
from features.telemetry.by_source import sources_present
from observability.clickhouse.embedded import EmbeddedClickhouse
from tests.deployments.telemetry.posting import MINUTE, Posting, a_minute, measured_of


@pytest.fixture
async def posting(measured: EmbeddedClickhouse, redis: Redis) -> Posting:
    return Posting(measured, redis)


async def test_a_full_redis_is_emptied_by_the_drain(
    posting: Posting, measured: EmbeddedClickhouse, redis: Redis
) -> None:
    for at in range(3):
        await posting.post("billing", ts=a_minute() + at * MINUTE)
    await redis.config_set("maxmemory", 1)
    try:
        await posting.drain.step()
    finally:
        await redis.config_set("maxmemory", 0)
    assert sources_present(measured) == {"cron": 3}
    assert await posting.intake.read(10) == []
    assert posting.dead_letters == 0
    # What could not be published is with whatever comes next.
    assert not await redis.exists(key(redis, "billing"))
    posting.later = PUBLISH_AGAIN_SECONDS
    await posting.post("search", ts=a_minute())
    await posting.drain.step()
    assert await redis.exists(key(redis, "billing"), key(redis, "search")) == 2


async def test_an_outage_of_redis_stores_no_row_twice_and_is_said_once(
    posting: Posting,
    measured: EmbeddedClickhouse,
    redis: Redis,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    place = SourcePlace("prom", MINUTE, measured, posting.features, posting.wall)
    await place.stretch()
    attempts = []

    async def away(*_: Any) -> None:
        attempts.append(1)
        raise ConnectionError("planted")

    caplog.set_level(logging.WARNING)
    with monkeypatch.context() as outage:
        outage.setattr(posting.features, "publish", away)
        for at in range(4):
            posting.later = at // 2 * PUBLISH_AGAIN_SECONDS
            await place.take_in(measured_of("billing", ts=a_minute() + at * MINUTE), newest=True)
    assert len(attempts) == 2  # rows come as fast as they are stored, and wait for no attempt
    (said,) = (each.message for each in caplog.records)
    assert "'prom'" in said
    assert "planted" in said
    posting.later += PUBLISH_AGAIN_SECONDS
    await place.take_in(measured_of("search", ts=a_minute()), newest=True)
    assert await redis.exists(key(redis, "billing"), key(redis, "search")) == 2
    assert sources_present(measured) == {"prom": 5}
