"""The table in Redis of how each entity's intervals stand, which everybody who serves them reads.

A hash of records, for all families, and beside it for each family its entities in the order of
their latest outcomes: by it a reader asks for what has changed, and the longest silent are found.
Releases before this one know only the hash.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

import orjson
from redis.asyncio import Redis

from deployments.runtime.state.position import POSITION, Position
from settings.redis_names import redis_name

# Who counted an outcome may be late to say so: where the key's log has gone on, whoever wrote the
# later entry says how things stand.
_PUBLISH = f"""
{POSITION}
local number, mark = position(KEYS[3], KEYS[4])
if number ~= tonumber(ARGV[1]) or mark ~= ARGV[2] then return 0 end
local latest = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
redis.call('HSET', KEYS[1], ARGV[3], ARGV[4])
redis.call('ZADD', KEYS[2], tonumber(latest or '0') + 1, ARGV[5])
return 1
"""

# Whoever has had an outcome since it was found silent stays.
_REMOVE = """
for at = 1, #ARGV, 3 do
  if redis.call('ZSCORE', KEYS[2], ARGV[at + 1]) == ARGV[at + 2] then
    redis.call('HDEL', KEYS[1], ARGV[at])
    redis.call('ZREM', KEYS[2], ARGV[at + 1])
  end
end
"""

_PAGE = 1_000


class Silent(NamedTuple):
    entity: bytes
    turn: bytes
    """Its place in the order, as Redis writes it."""


class Changed(NamedTuple):
    records: dict[bytes, bytes | None]
    """By entity; None where there is none any more."""
    turn: float
    """The latest place in the order: what is asked for next time is what comes after it."""


def offsets_key(redis: Redis) -> str:
    return redis_name(redis, "coverage", "standings")


def key_of(family: str, entity: str) -> str:
    return f"{family}|{entity}"


class OffsetsTable:
    """One family's part of it."""

    def __init__(self, redis: Redis, family: str) -> None:
        self._redis = redis
        self.family = family
        self._names = [offsets_key(redis), redis_name(redis, "coverage", "recent", family)]
        self._publish = redis.register_script(_PUBLISH)
        self._remove = redis.register_script(_REMOVE)

    async def publish(
        self, entity: str, record: dict[str, Any], at: Position, log: Sequence[str]
    ) -> None:
        """Say how an entity's intervals stand as of an entry of its log, if that is the latest."""
        values: list[str | int | bytes] = [
            *at,
            key_of(self.family, entity),
            orjson.dumps(record),
            entity,
        ]
        await self._publish(keys=[*self._names, *log], args=values)

    async def adopt(self, entities: Sequence[str]) -> None:
        """Put entities that are in no order yet before all others."""
        await self._redis.zadd(self._names[1], dict.fromkeys(entities, 0.0), nx=True)

    async def silent(self, kept: int, most: int) -> list[Silent]:
        """Give some of those silent longest, where there are more than so many to keep."""
        over = int(await self._redis.zcard(self._names[1])) - kept
        if over <= 0:
            return []
        found: Any = await self._redis.zrange(
            self._names[1], 0, min(over, most) - 1, withscores=True, score_cast_func=bytes
        )
        return [Silent(*each) for each in found]

    async def remove(self, silent: Sequence[Silent]) -> None:
        """Remove entities, but those that had an outcome since they were found silent."""
        if silent:
            own = key_of(self.family, "").encode()
            arguments = list[bytes]()
            for entity, turn in silent:
                arguments += (own + entity, entity, turn)
            await self._remove(keys=self._names, args=arguments)

    async def all(self) -> AsyncIterator[tuple[bytes, bytes]]:
        """Go through the family's entities and their records, a page at a time."""
        own = key_of(self.family, "").encode()
        found = self._redis.hscan_iter(self._names[0], match=own + b"*", count=_PAGE)
        async for key, record in found:
            yield key.removeprefix(own), record

    async def turn(self) -> float:
        """Give the latest place in the order."""
        found: Any = await self._redis.zrange(self._names[1], -1, -1, withscores=True)
        return float(found[0][1]) if found else 0.0

    async def changed(self, since: float) -> Changed:
        """Give the records of those that had an outcome after a place in the order."""
        found: Any = await self._redis.zrange(
            self._names[1], f"({since}", "+inf", byscore=True, withscores=True
        )
        if not found:
            return Changed({}, since)
        own, entities = key_of(self.family, "").encode(), [entity for entity, _ in found]
        records: Any = await self._redis.hmget(self._names[0], [own + each for each in entities])
        return Changed(dict(zip(entities, records, strict=True)), float(found[-1][1]))
