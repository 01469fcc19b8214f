"""Looks features up: in the process's own cache, then in Redis, then at their source."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from redis.asyncio import Redis
from redis.exceptions import RedisError

from features.cache import FeatureCache
from features.errors import FeatureError, SourceAwayError
from features.rows import FeatureRow, decode, key

# An entity that is cached nowhere may hold its request up this long, and no longer.
FIRST_READ_SECONDS = 0.05
# An entity nobody has asked for in as long leaves the refresh round.
FORGET_AFTER_SECONDS = 900.0


class Source(Protocol):
    """Where feature rows come from when neither cache has them."""

    async def latest(self, entities: Sequence[str]) -> dict[str, FeatureRow]: ...


class FeatureStore:
    """Rows of entities; reading never waits on the source, and on Redis only the first time."""

    def __init__(self, redis: Redis, source: Source, clock: Callable[[], float]) -> None:
        self._redis = redis
        self._source = source
        self._clock = clock
        self._cache = FeatureCache()
        self._asked_at: dict[str, float] = {}
        self._from_source: set[asyncio.Task[None]] = set()
        self.hits = 0
        self.misses = 0
        self.redis_away = False

    async def rows(self, entities: Sequence[str]) -> dict[str, FeatureRow | None]:
        """Give the row of each entity, or None for one that nobody knows."""
        distinct = dict.fromkeys(entities)
        found: dict[str, FeatureRow | None] = {}
        missing: list[str] = []
        for entity in distinct:
            cached = self._cache.get(entity)
            if cached is None:
                missing.append(entity)
            else:
                found[entity] = cached.row
        self.hits += len(found)
        self.misses += len(missing)
        if missing:
            found |= await self._first_read(missing)
        now = self._clock()
        for entity in distinct:
            self._asked_at[entity] = now
        return found

    async def refresh(self, older_than_seconds: float) -> None:
        """Read again what was fetched longer ago; a row that cannot be read anew is kept."""
        now = self._clock()
        self._forget_idle(now)
        due = self._cache.older_than(now - older_than_seconds)
        if due:
            await self._read_redis(due)

    async def close(self) -> None:
        for task in tuple(self._from_source):
            task.cancel()
        await asyncio.gather(*self._from_source, return_exceptions=True)

    async def _first_read(self, entities: list[str]) -> dict[str, FeatureRow | None]:
        try:
            async with asyncio.timeout(FIRST_READ_SECONDS):
                await self._read_redis(entities)
        except TimeoutError:
            self.redis_away = True
        unknown = [e for e in entities if (c := self._cache.get(e)) is None or c.row is None]
        if unknown:
            self._ask_source(unknown)
        return {e: c.row if (c := self._cache.get(e)) else None for e in entities}

    async def _read_redis(self, entities: list[str]) -> None:
        try:
            stored = await self._redis.mget([key(entity) for entity in entities])
        except (RedisError, OSError):
            self.redis_away = True
            return
        self.redis_away = False
        now = self._clock()
        for entity, content in zip(entities, stored, strict=True):
            self._cache.put(entity, _readable(entity, content), now)

    def _ask_source(self, entities: list[str]) -> None:
        """Fetch in the background; the request that found nothing goes on with defaults."""
        task = asyncio.ensure_future(self._fetch(entities))
        self._from_source.add(task)
        task.add_done_callback(self._from_source.discard)

    async def _fetch(self, entities: list[str]) -> None:
        try:
            rows = await self._source.latest(entities)
        except SourceAwayError:
            return  # the next request for the entity asks again, once the cache has let it go
        now = self._clock()
        for entity, row in rows.items():
            self._cache.put(entity, row, now)

    def _forget_idle(self, now: float) -> None:
        idle = [e for e, asked in self._asked_at.items() if asked < now - FORGET_AFTER_SECONDS]
        for entity in idle:
            del self._asked_at[entity]
        self._cache.forget(idle)


def _readable(entity: str, content: bytes | str | None) -> FeatureRow | None:
    if content is None:
        return None
    try:
        return decode(entity, content)
    except FeatureError:
        return None


def encoded(rows: Iterable[tuple[str, FeatureRow]]) -> dict[str, bytes]:
    """Write rows the way that the store reads them, ready for one MSET."""
    return {key(entity): row.encode() for entity, row in rows}
