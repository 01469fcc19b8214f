"""Where the reading of logs is to go on after a restart, kept in Redis.

What is kept may be old: then more is read again, and nothing is counted twice.
"""

import logging
from typing import Any, Protocol

from redis.asyncio import Redis

from features.errors import SourceAwayError
from features.sources.logs.follow import Positions
from settings.redis_connection import REDIS_AWAY
from settings.redis_names import redis_name

log = logging.getLogger(__name__)


class KeptPositions(Protocol):
    async def load(self) -> Positions | None: ...

    async def save(self, positions: Positions) -> None: ...


class RedisPositions:
    """The positions of one source, by its name."""

    def __init__(self, redis: Redis, source: str) -> None:
        self._redis = redis
        self._source = source
        self._key = redis_name(redis, "sources", source, "positions")

    async def load(self) -> Positions | None:
        """Read what was saved last; raises SourceAwayError where Redis is away."""
        try:
            saved: Any = await self._redis.get(self._key)
        except REDIS_AWAY as away:
            reason = f"Redis, which knows how far its files were read, is away: {away!r}"
            raise SourceAwayError(self._source, reason) from away
        if saved is None:
            return None
        try:
            return Positions.from_json(saved)
        except ValueError as error:
            log.error("The logs of %s are read anew: %s", self._source, error)  # noqa: TRY400 - the trace says no more
            return None

    async def forget(self) -> None:
        """Delete it: the source is no more."""
        await self._redis.delete(self._key)

    async def save(self, positions: Positions) -> None:
        """Save it, or go without where Redis is away."""
        try:
            await self._redis.set(self._key, positions.to_json())
        except REDIS_AWAY as away:
            log.warning("How far the logs of %s were read is not noted: %r", self._source, away)
