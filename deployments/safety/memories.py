"""The last safe answers of all families: in memory, and in Redis for a replica that starts.

No answer waits for Redis: what was noted is written in the background, and read once.
"""

import math
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import NamedTuple

import orjson
from redis.asyncio import Redis

from deployments.safety.judge import Judge
from safety.last_safe import Entry, LastSafe
from settings.redis_names import redis_name

# A piece takes the loop a millisecond or two; what is left is written with the next one.
AT_ONCE = 500
# What is left in Redis of a family that is asked nothing any more.
KEPT_SECONDS = 86_400


class _Table(NamedTuple):
    """Names a table: versions of a family that remember the same fields share one."""

    family: str
    fields: tuple[str, ...]


class Memories:
    """The tables of all versions that are alive: those that answer, and a rollout's candidate."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._tables: dict[_Table, LastSafe] = {}
        self._unread: set[_Table] = set()

    def prepare(self, judges: Iterable[tuple[str, Judge]]) -> None:
        """Make the tables that these policies need, and that are not there yet."""
        for table in _named(judges):
            if table not in self._tables:
                self._tables[table] = LastSafe(table.fields)
                self._unread.add(table)

    def keep(self, judges: Iterable[tuple[str, Judge]]) -> None:
        """Let the tables go that none of these policies needs."""
        wanted = set(_named(judges))
        self._tables = {table: each for table, each in self._tables.items() if table in wanted}
        self._unread &= wanted

    def of(self, family: str, judge: Judge) -> LastSafe | None:
        """Give the table that this policy of the family remembers in, if it does."""
        return self._tables.get(_Table(family, judge.remembered)) if judge.remembered else None

    async def share(self) -> None:
        """Read once what other replicas noted, and write what was noted here."""
        for table in tuple(self._unread):
            if (memory := self._tables.get(table)) is not None:
                await self._read(table, memory)
            self._unread.discard(table)
        for table, memory in tuple(self._tables.items()):
            await self._write(table, memory)

    async def _read(self, table: _Table, memory: LastSafe) -> None:
        async for entity, said in self._redis.hscan_iter(self._key(table), count=AT_ONCE):
            if (entry := _entry(entity, said)) is not None:
                memory.restore([entry])

    async def _write(self, table: _Table, memory: LastSafe) -> None:
        changed = memory.take_changed(AT_ONCE)
        if not changed:
            return
        key = self._key(table)
        pipe = self._redis.pipeline(transaction=False)
        pipe.hset(
            key, mapping={each.entity: orjson.dumps([each.at, each.values]) for each in changed}
        )
        pipe.expire(key, KEPT_SECONDS)
        pipe.hlen(key)
        *_, length = await pipe.execute()
        if length > 2 * memory.most:  # of entities that nobody asks for any more
            await self._redis.delete(key)

    def _key(self, table: _Table) -> str:
        """Name its hash; versions that remember other fields would write over each other's."""
        digest = blake2b("\x1f".join(table.fields).encode(), digest_size=4).hexdigest()
        return redis_name(self._redis, "safety", "last", table.family, digest)


def _named(judges: Iterable[tuple[str, Judge]]) -> Iterator[_Table]:
    for family, judge in judges:
        if judge.remembered:
            yield _Table(family, judge.remembered)


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
