"""Rows of a rollout's step that got no answer, or were refused, by version: no ledger has them.

Gateways count, and add what they counted every second; a gateway that dies takes a second with it.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from redis.asyncio import Redis

from settings.redis_names import redis_name

# After the last row of a step.
KEPT_SECONDS = 7 * 86_400


class StepOf(NamedTuple):
    """One step of a rollout, as one version answers it."""

    rollout: str
    step: int
    version: int


class Tally(NamedTuple):
    """How many rows a version was asked for, left without an answer, and refused."""

    asked: int = 0
    lost: int = 0
    refused: int = 0


class Unanswered:
    """The sum of all gateways, in Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def add(self, counted: Mapping[StepOf, Tally]) -> None:
        """Add what was counted since the last time: all of it in one step, or nothing."""
        pipe = self._redis.pipeline(transaction=True)
        for of, tally in counted.items():
            key = self._key(of)
            for part, count in tally._asdict().items():
                pipe.hincrby(key, part, count)
            pipe.expire(key, KEPT_SECONDS)
        await pipe.execute()

    async def read(self, of: StepOf) -> Tally:
        found: Any = await self._redis.hmget(self._key(of), list(Tally._fields))
        return Tally(*(int(each or 0) for each in found))

    def _key(self, of: StepOf) -> str:
        return redis_name(self._redis, "config", "unanswered", of.rollout, *map(str, of[1:]))
