"""The last safe answers of all families: in memory, and in Redis for a replica that starts.

No answer waits for Redis: what was noted is written in the background, and read once.
"""

import math
from collections.abc import Iterable

import orjson
from redis.asyncio import Redis

from deployments.safety.judge import Judge
from safety.last_safe import Entry, LastSafe
from settings.redis_names import redis_name

# A piece takes the loop a millisecond or two; what is left is written with the next one.
AT_ONCE = 500
# What is left in Redis of a family that is asked nothing any more.
KEPT_SECONDS = 86_400


class Memories:
    """One table a family; a policy that remembers other fields begins a new one."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._by_family: dict[str, LastSafe] = {}
        self._unread: set[str] = set()

    def prepare(self, judges: Iterable[tuple[str, Judge]]) -> None:
        """Make the tables that these policies need."""
        for family, judge in judges:
            if judge.remembered and self.of(family, judge) is None:
                self._by_family[family] = LastSafe(judge.remembered)
                self._unread.add(family)

    def of(self, family: str, judge: Judge) -> LastSafe | None:
        """Give the family's table, where its policy remembers what is in it."""
        found = self._by_family.get(family)
        return found if found is not None and found.fields == judge.remembered else None

    async def share(self) -> None:
        """Read once what other replicas noted, and write what was noted here."""
        for family in tuple(self._unread):
            await self._read(family, self._by_family[family])
            self._unread.discard(family)
        for family, memory in tuple(self._by_family.items()):
            await self._write(family, memory)

    async def _read(self, family: str, memory: LastSafe) -> None:
        async for entity, said in self._redis.hscan_iter(self._key(family), count=AT_ONCE):
            if (entry := _entry(entity, said)) is not None:
                memory.restore([entry])

    async def _write(self, family: str, memory: LastSafe) -> None:
        changed = memory.take_changed(AT_ONCE)
        if not changed:
            return
        key = self._key(family)
        pipe = self._redis.pipeline(transaction=False)
        pipe.hset(
            key, mapping={each.entity: orjson.dumps([each.at, each.values]) for each in changed}
        )
        pipe.expire(key, KEPT_SECONDS)
        pipe.hlen(key)
        *_, length = await pipe.execute()
        if length > 2 * memory.most:  # of entities that nobody asks for any more
            await self._redis.delete(key)

    def _key(self, family: str) -> str:
        return redis_name(self._redis, "safety", "last", family)


def _entry(entity: bytes, said: bytes) -> Entry | None:
    """Read an answer; one that cannot be read costs no other, and is written over in time."""
    try:
        at, values = orjson.loads(said)
        numbers = {
            name: math.nan if value is None else float(value) for name, value in values.items()
        }
        return Entry(entity.decode(), float(at), numbers)
    except (ValueError, TypeError, AttributeError):
        return None
