"""What the streams of telemetry say of each entity's metrics, as everybody reads it from Redis.

The anomaly deployment writes it after each interval. Where it is away, what it said last stays, and
its event time says how old that is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import orjson
from redis.asyncio import Redis

from features.store import write
from settings.redis_names import redis_name

STALE_INTERVALS, FEED_SECONDS = 4, 30
"""An interval is known at its end, settles, is stored, and is fed some seconds later."""

AT_ONCE = 64
"""Entities: to write or read so many takes a process a millisecond or two."""


@dataclass(frozen=True, slots=True)
class JudgedMetric:
    """One metric as of its newest interval."""

    event_time: int
    """Epoch seconds at which that interval began."""
    known_time: float
    """When the platform knew of it."""
    cadence_seconds: int
    value: float
    score: float
    """Its distance from where the metric has been of late (models/anomaly/distance.py)."""
    p_value: float
    alarm: bool
    change_point: bool
    change_probability: float
    run_length: int
    regime: int
    """The number of the first observation of the present regime, counted from 0."""
    since: float
    mean: float
    sd: float
    observations: int
    missing: int
    """Intervals of which nothing was known when a later one was taken; they stay left out."""
    alarms: int
    segments: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Self:
        """Read it, also where a later release wrote more."""
        return cls(**{name: value for name, value in content.items() if name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class Judged:
    """One entity's metrics, those that are measured, in the order of the configuration."""

    metrics: Mapping[str, JudgedMetric]
    asked: Sequence[str] = ()
    """The metrics that were looked for, measured or not."""

    @property
    def event_time(self) -> int:
        return max(each.event_time for each in self.metrics.values())

    @property
    def newest(self) -> dict[str, JudgedMetric]:
        """Give the metrics that were measured in the entity's newest interval."""
        newest = self.event_time
        return {name: each for name, each in self.metrics.items() if each.event_time == newest}

    def encode(self) -> bytes:
        return orjson.dumps({"metrics": dict(self.metrics), "asked": list(self.asked)})


def is_stale(metric: JudgedMetric, now: float) -> bool:
    """Tell whether later intervals should have been judged by now."""
    return now - metric.event_time > STALE_INTERVALS * metric.cadence_seconds + FEED_SECONDS


async def publish_judged(redis: Redis, judged: Mapping[str, Judged]) -> None:
    """Write what is said of these entities, some at a time."""
    names = [*judged]
    for at in range(0, len(names), AT_ONCE):
        some = names[at : at + AT_ONCE]
        await write(redis, {_key(redis, name): judged[name].encode() for name in some})


async def read_judged(redis: Redis, entities: Sequence[str]) -> dict[str, Judged]:
    """Read what is said of entities; those of which nothing is said are left out."""
    found = dict[str, Judged]()
    for at in range(0, len(entities), AT_ONCE):
        some = entities[at : at + AT_ONCE]
        stored: Any = await redis.mget([_key(redis, each) for each in some])
        read = {entity: _decoded(each) for entity, each in zip(some, stored, strict=True) if each}
        found |= {entity: each for entity, each in read.items() if each is not None}
    return found


async def forget_judged(redis: Redis, entities: Sequence[str]) -> None:
    """Delete what was said of entities."""
    if entities:
        await redis.delete(*(_key(redis, each) for each in entities))


def _decoded(stored: bytes) -> Judged | None:
    """Read what was written; what another release wrote otherwise is as if it were not there."""
    try:
        content: dict[str, Any] = orjson.loads(stored)
        metrics = {name: JudgedMetric.of(each) for name, each in content["metrics"].items()}
        return Judged(metrics, content["asked"])
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return None


def _key(redis: Redis, entity: str) -> str:
    return redis_name(redis, "judged", entity)
