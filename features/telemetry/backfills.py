"""Which stretches of the past are being fetched anew, and how far: kept in Redis.

A source has one at a time, and the last one stays for people to look at. Who fetches it may die at
any moment: it goes on where the last piece that is noted ends, and stores the one after it again.
"""

from collections.abc import Collection
from typing import Any

from pydantic import ValidationError
from redis.asyncio import Redis

from features.telemetry.source_states import Backfill
from settings.frozen import Frozen
from settings.redis_names import redis_name


class KeptBackfill(Frozen):
    """A backfill, what was asked for, and the rules of its source then."""

    shown: Backfill
    asked: tuple[int | None, int | None]
    rules: str


class BackfillStore:
    """The last backfill of each source."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._key = redis_name(redis, "telemetry", "backfills")

    async def load(self) -> dict[str, KeptBackfill]:
        """Read all of them, without those that this release cannot read."""
        stored: Any = await self._redis.hgetall(self._key)
        found = {}
        for name, each in stored.items():
            try:
                found[name.decode()] = KeptBackfill.model_validate_json(each)
            except ValidationError:  # by another release: it can be asked for again
                continue
        return found

    async def save(self, kept: KeptBackfill) -> None:
        await self._redis.hset(self._key, kept.shown.source, kept.model_dump_json())

    async def forget(self, sources: Collection[str]) -> None:
        if sources:
            await self._redis.hdel(self._key, *sources)
