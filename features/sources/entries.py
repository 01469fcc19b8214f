"""Entries that wait in Redis: gateways add, the history's owner reads and lets go.

One stream for each source. An entry stays until the intervals that it is part of are stored, so
whoever evaluates them may die and begin again; when it came is in its id, by the clock of Redis.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from redis.asyncio import Redis

from features.errors import IntakeFullError
from settings.redis_names import redis_name

# Three intervals of 100,000 series, scraped every 10 s, take some 60 MB as they are counted.
MOST_BYTES = 256 * 1024 * 1024
RETRY_AFTER_S = 10
# Redis answers nobody else while it lets go of these.
_AT_ONCE = 64

# An entry counts as what it unpacks to, as its head says (a version byte, then the length): whoever
# evaluates it holds it so, and one sample a million times packs to nothing.
_SIZE = """
local function size(entry)
    if #entry < 9 or string.byte(entry) ~= 1 then return #entry end
    return math.max(#entry, (struct.unpack('<I4', entry, 2)))
end
"""
# The bytes that wait are counted beside the stream: to add them up would mean to read it all.
_ADD = f"""{_SIZE}
local bytes = tonumber(redis.call('GET', KEYS[2]) or '0')
if redis.call('EXISTS', KEYS[1]) == 0 then bytes = 0 end
local more = size(ARGV[1])
if bytes + more > tonumber(ARGV[2]) then return bytes end
redis.call('XADD', KEYS[1], '*', ARGV[3], ARGV[1])
redis.call('SET', KEYS[2], bytes + more)
return -1
"""
_LET_GO = f"""{_SIZE}
local gone = redis.call('XRANGE', KEYS[1], '-', ARGV[1], 'COUNT', ARGV[2])
local bytes = 0
for _, entry in ipairs(gone) do
    bytes = bytes + size(entry[2][2])
    redis.call('XDEL', KEYS[1], entry[1])
end
if redis.call('XLEN', KEYS[1]) == 0 then
    redis.call('SET', KEYS[2], 0)
else
    redis.call('DECRBY', KEYS[2], bytes)
end
return #gone
"""


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as it was added, and when that was."""

    id: str
    received_ms: int
    data: bytes


@dataclass(frozen=True, slots=True)
class StreamSize:
    """What a stream holds."""

    entries: int
    size: int  # bytes, unpacked


class EntryStream:
    """The entries of one source, behind a client that answers bytes."""

    def __init__(
        self, redis: Redis, source: str, what: str, *, most_bytes: int = MOST_BYTES
    ) -> None:
        """Open the stream of `what` of a source: that is a part of its name, and its one field."""
        self._redis = redis
        self.name = redis_name(redis, "telemetry", what, source)
        self._bytes = redis_name(redis, "telemetry", f"{what}-bytes", source)
        self._what = what
        self._most_bytes = most_bytes
        self._add = redis.register_script(_ADD)
        self._let_go = redis.register_script(_LET_GO)

    async def add(self, entry: bytes) -> None:
        """Append an entry; IntakeFullError where too much waits."""
        found = await self._add(
            keys=[self.name, self._bytes], args=[entry, self._most_bytes, self._what]
        )
        if found >= 0:
            raise IntakeFullError(f"{found} bytes", f"{self._most_bytes} bytes", RETRY_AFTER_S)

    async def following(self, after: str) -> Entry | None:
        """Read the entry that follows one; `0-0` stands before the first."""
        messages: Any = await self._redis.xrange(self.name, f"({after}", "+", count=1)
        return self._entries(messages)[0] if messages else None

    async def read_up_to(
        self, after: str, count: int, room: int, unpack: Callable[[Entry], tuple[T, int]]
    ) -> list[T]:
        """Read the entries that follow one: at most so many, and until their sizes fill the room.

        None only where none follow. `unpack` gives what an entry holds and its size.
        """
        found: list[T] = []
        while len(found) < count and room > 0:
            entry = await self.following(after)
            if entry is None:
                break
            # A large one takes a quarter of a second, in which the loop has others to answer.
            unpacked, size = await asyncio.to_thread(unpack, entry)
            found.append(unpacked)
            after = entry.id
            room -= size
        return found

    async def last(self, count: int) -> list[Entry]:
        """Read the newest entries, at most so many, in their order."""
        messages: Any = await self._redis.xrevrange(self.name, count=count)
        return self._entries(messages[::-1])

    async def held(self) -> StreamSize:
        """Tell how much waits."""
        entries = int(await self._redis.xlen(self.name))
        size = await self._redis.get(self._bytes) if entries else None
        return StreamSize(entries, int(size or 0))

    async def let_go(self, up_to: str) -> None:
        """Let go of an entry and all before it."""
        keys = [self.name, self._bytes]
        while await self._let_go(keys=keys, args=[up_to, _AT_ONCE]) == _AT_ONCE:
            continue

    async def forget(self) -> None:
        """Delete it with all that waits: the source is no more."""
        await self._redis.unlink(self.name, self._bytes)

    def _entries(self, messages: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> list[Entry]:
        field = self._what.encode()
        return [
            Entry(each.decode(), int(each.partition(b"-")[0]), fields.get(field, b""))
            for each, fields in messages
        ]
