"""Rows of a rollout's step that got no answer, by version: the one thing that no ledger has.

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
    """How many rows a version was asked for, and how many of them it left without an answer."""

    asked: int = 0
    lost: int = 0

    @property
    def share(self) -> float:
        return self.lost / self.asked if self.asked else 0.0


class Unanswered:
    """The sum of all gateways, in Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def add(self, counted: Mapping[StepOf, Tally]) -> None:
        """Add what was counted since the last time: all of it, or nothing where Redis is away."""
        pipe = self._redis.pipeline(transaction=True)
        for of, tally in counted.items():
            key = self._key(of)
            pipe.hincrby(key, "asked", tally.asked)
            pipe.hincrby(key, "lost", tally.lost)
            pipe.expire(key, KEPT_SECONDS)
        await pipe.execute()

    async def read(self, of: StepOf) -> Tally:
        found: Any = await self._redis.hmget(self._key(of), ["asked", "lost"])
        return Tally(*(int(each or 0) for each in found))

    def _key(self, of: StepOf) -> str:
        return redis_name(self._redis, "config", "unanswered", of.rollout, *map(str, of[1:]))
