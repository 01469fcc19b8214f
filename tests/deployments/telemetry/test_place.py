"""What one source gives comes into the store once, whatever becomes of its features."""

import logging
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from deployments.telemetry.followed import Followed
from deployments.telemetry.place import PUBLISH_AGAIN_SECONDS, SourcePlace
from features.sources.breaker import FAILURES, Breaker
from features.sources.prometheus.source import PrometheusSource
from features.sources.rules import Gauge, Mapping, Selector
from features.store import key
from features.telemetry.by_source import sources_present
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.timeline.store import read
from tests.deployments.telemetry.posting import MINUTE, Posting, a_minute, measured_of
from tests.features.sources.prometheus.lying import asking, failure, lying


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


async def test_a_prometheus_that_refuses_the_key_is_away_on_the_timeline(
    posting: Posting, measured: EmbeddedClickhouse, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("expired")
    place = SourcePlace("prom", MINUTE, measured, posting.features, posting.wall)
    mapping = Mapping(entity="job", metrics={"cpu": Gauge(of=Selector(name="cpu"))})
    refusal = failure(401, "unauthorized", "no")
    async with lying(refusal) as liar, asking(liar.url, token_file=tmp_path / "token") as api:
        source = PrometheusSource("prom", api, mapping, MINUTE, posting.wall)
        breaker = Breaker(lambda: 0.0, lambda: 1.0)
        followed = Followed("prom", source, place, breaker, history_days=1, wall=posting.wall)
        for _ in range(FAILURES):
            await followed.step()
    assert not followed.refused
    (away,) = read(measured, 10, kinds=["source_away"]).events
    assert f"check that the key in its token_file {tmp_path}/token" in away["summary"]
