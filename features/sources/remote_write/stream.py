"""Samples that wait in Redis: gateways add, the history's owner reads and lets go.

One stream for each source. An entry stays until the intervals that it is part of are stored, so
whoever evaluates them may die and begin again; when it came is in its id, by the clock of Redis.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from redis.asyncio import Redis

from features.errors import IntakeFullError
from features.sources.remote_write.errors import UnreadableSamplesError
from features.sources.remote_write.samples import Samples, decode
from settings.redis_names import redis_name

log = logging.getLogger(__name__)

# Three intervals of 100,000 series, scraped every 10 s, take some 60 MB as they are counted.
MOST_BYTES = 256 * 1024 * 1024
RETRY_AFTER_S = 10
# What one read gives: an entry of 200,000 series takes 44 MB, usual ones 0.4.
MOST_READ_BYTES = 32 * 1024 * 1024
# In memory, unpacked.
_SAMPLE_BYTES, _SERIES_BYTES = 20, 200
_SAMPLES = b"samples"
# Redis answers nobody else while it lets go of these.
_AT_ONCE = 64

# An entry counts as what it unpacks to, as its head says (samples.py): whoever evaluates it holds
# it so, and one sample a million times packs to nothing.
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
redis.call('XADD', KEYS[1], '*', 'samples', ARGV[1])
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


@dataclass(frozen=True, slots=True)
class Arrived:
    """An entry of a stream, and when it came."""

    id: str
    received_ms: int
    samples: Samples


@dataclass(frozen=True, slots=True)
class Held:
    """What a stream holds."""

    entries: int
    size: int  # bytes, unpacked


class SampleStream:
    """The samples of one source, behind a client that answers bytes."""

    def __init__(
        self,
        redis: Redis,
        source: str,
        *,
        most_bytes: int = MOST_BYTES,
        most_read_bytes: int = MOST_READ_BYTES,
    ) -> None:
        self._redis = redis
        self.name = redis_name(redis, "telemetry", "samples", source)
        self._bytes = redis_name(redis, "telemetry", "samples-bytes", source)
        self._most_bytes = most_bytes
        self._most_read_bytes = most_read_bytes
        self._add = redis.register_script(_ADD)
        self._let_go = redis.register_script(_LET_GO)

    async def add(self, entry: bytes) -> None:
        """Append what `samples.encode` made; IntakeFullError where too much waits."""
        found = await self._add(keys=[self.name, self._bytes], args=[entry, self._most_bytes])
        if found >= 0:
            raise IntakeFullError(f"{found} bytes", f"{self._most_bytes} bytes", RETRY_AFTER_S)

    async def read(self, after: str, count: int) -> list[Arrived]:
        """Read the entries that follow one, at most so many; `0-0` stands before the first.

        Fewer, where they are large; none only where none follow. One that cannot be read is given
        without samples, so that it is let go of in its turn.
        """
        found: list[Arrived] = []
        room = self._most_read_bytes
        while len(found) < count and room > 0:
            messages: Any = await self._redis.xrange(self.name, f"({after}", "+", count=1)
            if not messages:
                break
            # A large one takes a quarter of a second, in which the loop has others to answer.
            found += await asyncio.to_thread(_all_arrived, messages)
            after = found[-1].id
            samples = found[-1].samples
            room -= len(samples) * _SAMPLE_BYTES + len(samples.series) * _SERIES_BYTES
        return found

    async def newest(self, count: int) -> list[Arrived]:
        """Read the newest entries, at most so many, in their order."""
        messages: Any = await self._redis.xrevrange(self.name, count=count)
        return await asyncio.to_thread(_all_arrived, messages[::-1])

    async def held(self) -> Held:
        """Tell how much waits."""
        entries = int(await self._redis.xlen(self.name))
        size = await self._redis.get(self._bytes) if entries else None
        return Held(entries, int(size or 0))

    async def let_go(self, up_to: str) -> None:
        """Let go of an entry and all before it."""
        keys = [self.name, self._bytes]
        while await self._let_go(keys=keys, args=[up_to, _AT_ONCE]) == _AT_ONCE:
            continue

    async def forget(self) -> None:
        """Delete it with all that waits: the source is no more."""
        await self._redis.unlink(self.name, self._bytes)


def _all_arrived(messages: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> list[Arrived]:
    return [_arrived(each.decode(), fields.get(_SAMPLES, b"")) for each, fields in messages]


def _arrived(entry_id: str, entry: bytes) -> Arrived:
    received_ms = int(entry_id.partition("-")[0])
    try:
        return Arrived(entry_id, received_ms, decode(entry))
    except UnreadableSamplesError:
        log.exception("The samples %s of %d bytes are passed over", entry_id, len(entry))
    nothing = Samples([], np.zeros(0, np.uint32), np.zeros(0, np.int64), np.zeros(0))
    return Arrived(entry_id, received_ms, nothing)
