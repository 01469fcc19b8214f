from dataclasses import replace

import orjson
import pytest
from redis.asyncio import Redis

from features.telemetry.judged import (
    AT_ONCE,
    Judged,
    JudgedMetric,
    forget_judged,
    is_stale,
    publish_judged,
    read_judged,
)
from settings.redis_names import redis_name

METRIC = JudgedMetric(
    event_time=6000,
    known_time=6065.0,
    cadence_seconds=60,
    value=41.0,
    score=7.5,
    p_value=0.01,
    alarm=True,
    change_point=False,
    change_probability=0.4,
    run_length=12,
    regime=88,
    since=5280.0,
    mean=40.0,
    sd=2.0,
    observations=100,
    missing=3,
    alarms=1,
    segments=[{"start": 0, "since": 0.0}, {"start": 88, "since": 5280.0}],
)


async def test_what_is_published_is_read_by_all(redis: Redis) -> None:
    entities = [f"service {number}" for number in range(2 * AT_ONCE + 1)]
    said = {each: Judged({"p99_ms": METRIC}, ["cpu", "p99_ms"]) for each in entities}
    await publish_judged(redis, said)
    assert await read_judged(redis, [*entities, "nobody"]) == said
    await forget_judged(redis, entities[:1])
    assert entities[0] not in await read_judged(redis, entities)


async def test_a_later_release_may_write_more_and_something_else_is_nothing(redis: Redis) -> None:
    written = Judged({"p99_ms": METRIC}, ["p99_ms"])
    content = orjson.loads(written.encode())
    content["metrics"]["p99_ms"]["direction"] = "up"
    await redis.set(redis_name(redis, "judged", "later"), orjson.dumps(content))
    await redis.set(redis_name(redis, "judged", "other"), b"[]")
    assert await read_judged(redis, ["later", "other"]) == {"later": written}


def test_only_what_was_measured_last_counts_as_newest() -> None:
    old = replace(METRIC, event_time=METRIC.event_time - 60)
    judged = Judged({"cpu": old, "p99_ms": METRIC})
    assert judged.event_time == METRIC.event_time
    assert set(judged.newest) == {"p99_ms"}


@pytest.mark.parametrize("cadence_seconds", [15, 60])
def test_it_is_stale_once_later_intervals_are_due(cadence_seconds: int) -> None:
    metric = replace(METRIC, cadence_seconds=cadence_seconds)
    due = metric.event_time + 4 * cadence_seconds + 30
    assert not is_stale(metric, due)
    assert is_stale(metric, due + 1)
