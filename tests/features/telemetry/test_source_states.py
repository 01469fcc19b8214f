from typing import get_args

import pytest
from pydantic import BaseModel
from redis.asyncio import Redis

from config_store.sources import SourceConfig
from features.telemetry.source_states import (
    ComplaintCount,
    SourceState,
    publish_states,
    read_states,
)
from settings.redis_names import redis_name

STATE = SourceState(
    name="prom",
    kind="prometheus",
    state="away",
    why="connection refused",
    breaker="open",
    newest=1_773_144_000,
    rows=7,
    complaints=(ComplaintCount(fault="gap", count=2, example="two intervals"),),
    backfill_share=0.5,
)


async def test_what_is_published_is_read_with_its_time(redis: Redis) -> None:
    assert await read_states(redis) is None
    await publish_states(redis, [STATE], 12.5)
    assert await read_states(redis) == (12.5, (STATE,))
    await publish_states(redis, [], 13.0)
    assert await read_states(redis) == (13.0, ())


async def test_what_another_release_wrote_counts_as_nothing(redis: Redis) -> None:
    await redis.set(redis_name(redis, "telemetry", "sources"), b'{"format": 2}')
    assert await read_states(redis) is None


@pytest.mark.parametrize("source", get_args(get_args(SourceConfig)[0]))
def test_a_source_of_each_kind_of_the_configuration_can_be_told_of(source: type[BaseModel]) -> None:
    kind = source.model_fields["kind"].default
    assert SourceState(name="one", kind=kind, state="live").kind == kind
