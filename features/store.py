"""Looks features up: in the process's own cache, then in Redis, then at their source."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from redis.asyncio import Redis

from features.cache import FeatureCache
from features.errors import FeatureError, SourceAwayError
from features.rows import FeatureRow, decode
from features.shared_fetch import SharedFetch
from settings.redis_connection import REDIS_AWAY
from settings.redis_names import redis_name

# An entity that is cached nowhere may hold its request up this long, and no longer.
FIRST_READ_SECONDS = 0.05
# An entity nobody has asked for in as long leaves the refresh round.
FORGET_AFTER_SECONDS = 900.0
# What a slow source, or a client with imagination, may keep busy at most.
MOST_FETCHES = 4
MOST_FETCHED = 1_000
# What nobody has published for as long is of an entity that is gone; its source is asked then.
PUBLISHED_SECONDS = 7 * 86_400

_WRITE = """
for i = 1, #KEYS do redis.call('SET', KEYS[i], ARGV[i + 1], 'EX', ARGV[1]) end
"""


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
        self._first_reads = SharedFetch(self._read_first)
        self._from_source: dict[asyncio.Task[None], frozenset[str]] = {}
        self.hits = 0
        self.misses = 0

    async def rows(self, entities: Sequence[str]) -> dict[str, FeatureRow | None]:
        """Give the row of each entity, or None for one that nobody knows."""
        now = self._clock()
        found: dict[str, FeatureRow | None] = {}
        missing: list[str] = []
        for entity in dict.fromkeys(entities):
            cached = self._cache.get(entity, now)
            if cached is None:
                missing.append(entity)
            else:
                found[entity] = cached.row
        self.hits += len(found)
        self.misses += len(missing)
        if missing:
            found |= await self._first_read(missing)
        return found

    async def refresh(self, older_than_seconds: float) -> None:
        """Read again what was fetched longer ago; a row that cannot be read anew is kept.

        Where Redis is away the source is asked, and what Redis raised passes through.
        """
        now = self._clock()
        self._cache.forget_idle(now - FORGET_AFTER_SECONDS)
        due = self._cache.older_than(now - older_than_seconds)
        try:
            absent = await self._read_redis(due)
        except REDIS_AWAY:
            self._ask_source(due[-MOST_FETCHED:])  # those asked for last
            raise
        self._ask_source(absent[-MOST_FETCHED:])

    async def close(self) -> None:
        await self._first_reads.close()
        for task in tuple(self._from_source):
            task.cancel()
        await asyncio.gather(*self._from_source, return_exceptions=True)

    async def _first_read(self, entities: list[str]) -> dict[str, FeatureRow | None]:
        """Wait for Redis, together with all who ask for the same, but not for long."""
        try:
            async with asyncio.timeout(FIRST_READ_SECONDS):
                return await self._first_reads.get(entities)
        except TimeoutError:
            self._ask_source(entities)
        now = self._clock()
        return {e: c.row if (c := self._cache.get(e, now)) else None for e in entities}

    async def _read_first(self, entities: list[str]) -> dict[str, FeatureRow | None]:
        try:
            absent = await self._read_redis(entities)
        except REDIS_AWAY:  # a request goes on; that Redis is away the refresh says
            absent = entities
        self._ask_source(absent)
        now = self._clock()
        return {e: c.row if (c := self._cache.get(e, now)) else None for e in entities}

    async def _read_redis(self, entities: list[str]) -> list[str]:
        """Bring what Redis holds into the cache; name the entities that it holds nothing of."""
        if not entities:
            return []
        stored = await self._redis.mget([key(self._redis, each) for each in entities])
        now = self._clock()
        read = [
            _readable(entity, content) for entity, content in zip(entities, stored, strict=True)
        ]
        for entity, row in zip(entities, read, strict=True):
            self._cache.put(entity, row, now)
        return [entity for entity, row in zip(entities, read, strict=True) if row is None]

    def _ask_source(self, entities: list[str]) -> None:
        """Fetch in the background; the request that found nothing goes on with defaults."""
        if len(self._from_source) >= MOST_FETCHES:
            return  # the next refresh asks again
        asked = frozenset[str]().union(*self._from_source.values())
        if not (new := [each for each in entities if each not in asked]):
            return
        task = asyncio.ensure_future(self._fetch(new))
        self._from_source[task] = frozenset(new)
        task.add_done_callback(self._from_source.pop)

    async def _fetch(self, entities: list[str]) -> None:
        try:
            rows = await self._source.latest(entities)
        except SourceAwayError:
            return  # the next refresh asks again
        now = self._clock()
        for entity, row in rows.items():
            self._cache.put(entity, row, now)


def _readable(entity: str, content: bytes | str | None) -> FeatureRow | None:
    if content is None:
        return None
    try:
        return decode(entity, content)
    except FeatureError:
        return None


def key(redis: Redis, entity: str) -> str:
    return redis_name(redis, "features", entity)


async def publish(redis: Redis, rows: Iterable[tuple[str, FeatureRow]]) -> None:
    """Write rows the way that the store reads them, all at once."""
    await write(redis, as_stored(redis, rows))


async def write(redis: Redis, stored: Mapping[str, bytes]) -> None:
    """Write what is published, all at once, to be gone where it is never published again."""
    await redis.eval(_WRITE, len(stored), *stored, str(PUBLISHED_SECONDS), *stored.values())


def as_stored(redis: Redis, rows: Iterable[tuple[str, FeatureRow]]) -> dict[str, bytes]:
    """Give what Redis holds of rows, by key."""
    return {key(redis, entity): row.encode() for entity, row in rows}
