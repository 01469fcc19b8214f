"""Posted telemetry that waits in Redis to be stored: gateways add, the history's owner takes.

A stream. What a gateway added there is durable as decisions are, and clients are answered then. An
entry stays until it is stored: who dies in between stores it again under the same known time, and
the table keeps one of equal rows.

An entry's id is its known time, in milliseconds by the clock of Redis, and no two have the same:
rows of one interval that came at the same moment by two gateways stay apart, and an order holds.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from features.errors import IntakeFullError, UnreadableTelemetryError
from features.sources.source import Gathered
from features.telemetry.packed import pack, unpack
from settings.redis_names import redis_name

log = logging.getLogger(__name__)

# Redis is the queue of a moment: what is not stored by then would take its memory from decisions.
MOST_BYTES = 64 * 1024 * 1024
MOST_ENTRIES = 10_000
# Whoever posts by the minute loses nothing by it, and the store takes this much in less.
RETRY_AFTER_S = 10
# Redis copies an entry of this many rows in about half a millisecond.
ENTRY_ROWS = 2048

SOURCE, ROWS = b"source", b"rows"

# The bytes that wait are counted beside the stream: to add them up would mean to read it all.
_ADD = """
local bytes = tonumber(redis.call('GET', KEYS[2]) or '0')
local entries = redis.call('XLEN', KEYS[1])
if entries == 0 then bytes = 0 end
local more = 0
for i = 4, #ARGV do more = more + #ARGV[i] end
if bytes + more > tonumber(ARGV[2]) or entries + #ARGV - 3 > tonumber(ARGV[3]) then
    return {'full', entries, bytes}
end
local now = redis.call('TIME')
local known = now[1] * 1000 + math.floor(now[2] / 1000)
if redis.call('EXISTS', KEYS[1]) == 1 then
    local stream = redis.call('XINFO', 'STREAM', KEYS[1])
    for i = 1, #stream, 2 do
        if stream[i] == 'last-generated-id' then
            known = math.max(known, tonumber(string.match(stream[i + 1], '^%d+')) + 1)
        end
    end
end
for i = 4, #ARGV do
    local id = string.format('%.0f-0', known)
    redis.call('XADD', KEYS[1], id, 'source', ARGV[1], 'rows', ARGV[i])
    known = known + 1
end
redis.call('SET', KEYS[2], bytes + more)
return {'added'}
"""

_DONE = """
local freed = 0
for i = 1, #ARGV, 2 do
    if redis.call('XDEL', KEYS[1], ARGV[i]) == 1 then freed = freed + ARGV[i + 1] end
end
if redis.call('XLEN', KEYS[1]) == 0 then
    redis.call('SET', KEYS[2], 0)
else
    redis.call('DECRBY', KEYS[2], freed)
end
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An entry that can be stored: whose rows, and when the platform learned of them."""

    id: str
    source: str
    known_ms: int
    gathered: Gathered
    size: int


def _count_nothing() -> None:
    """Count nothing: nobody asked to."""


class Intake:
    """The stream behind a client that answers bytes (not `decode_responses`)."""

    def __init__(
        self,
        redis: Redis,
        *,
        most_bytes: int = MOST_BYTES,
        most_entries: int = MOST_ENTRIES,
        on_dead_letter: Callable[[], None] = _count_nothing,
    ) -> None:
        self._redis = redis
        self.name = redis_name(redis, "telemetry", "intake")
        self._bytes = redis_name(redis, "telemetry", "intake-bytes")
        self._damaged = redis_name(redis, "telemetry", "intake", "damaged")
        self._most_bytes = most_bytes
        self._most_entries = most_entries
        self._on_dead_letter = on_dead_letter
        self._add = redis.register_script(_ADD)
        self._done = redis.register_script(_DONE)

    async def add(self, source: str, entries: Sequence[bytes]) -> None:
        """Append what `packed_entries` made, all of it or nothing; IntakeFullError."""
        limits = (self._most_bytes, self._most_entries)
        answer = await self._add(keys=[self.name, self._bytes], args=[source, *limits, *entries])
        if answer[0] == b"full":
            raise IntakeFullError(
                f"{answer[1]} entries with {answer[2]} bytes",
                f"{self._most_entries} entries with {self._most_bytes} bytes",
                RETRY_AFTER_S,
            )

    async def read(self, count: int, after: str | None = None) -> list[Waiting]:
        """Read the oldest entries, or those after one, at most so many.

        What cannot be read is set aside. Until they are `done` they are read again.
        """
        found: list[Waiting] = []
        start = "-" if after is None else f"({after}"
        while len(found) < count:
            # One at a time: Redis answers others in between.
            messages: Any = await self._redis.xrange(self.name, start, "+", count=1)
            if not messages:
                break
            ((message_id, fields),) = messages
            start = f"({message_id.decode()}"
            waiting = await self._readable(message_id.decode(), fields)
            if waiting is not None:
                found.append(waiting)
        return found

    async def done(self, entries: Sequence[Waiting]) -> None:
        """Let go of entries that are stored."""
        pairs = [word for each in entries for word in (each.id, each.size)]
        if pairs:
            await self._done(keys=[self.name, self._bytes], args=pairs)

    async def refuse(self, entry: Waiting, why: str) -> None:
        """Set an entry aside that the store does not take, so that the others go on."""
        messages: Any = await self._redis.xrange(self.name, entry.id, entry.id)
        for _, fields in messages:
            await self.set_aside(entry.id, fields, why)

    async def set_aside(self, entry_id: str, fields: Any, why: str) -> None:
        """Keep an entry that can be neither read nor stored in a stream of its own."""
        kept: Any = {**fields, b"why": why.encode()}
        try:
            await self._redis.xadd(self._damaged, kept, id=entry_id)
        except ResponseError:  # ids must rise: it is there already, or older than one that is
            if not await self._redis.xrange(self._damaged, entry_id, entry_id):
                await self._redis.xadd(self._damaged, kept | {b"id": entry_id.encode()})
        await self._done(keys=[self.name, self._bytes], args=[entry_id, len(fields.get(ROWS, b""))])
        log.error("Posted telemetry %s is kept as a dead letter because %s", entry_id, why)
        self._on_dead_letter()

    async def _readable(self, entry_id: str, fields: Any) -> Waiting | None:
        try:
            data, source = fields[ROWS], fields[SOURCE].decode()
            known_ms = int(entry_id.partition("-")[0])
            gathered = await asyncio.to_thread(unpack, data)
            return Waiting(entry_id, source, known_ms, gathered, len(data))
        except (KeyError, UnicodeDecodeError, UnreadableTelemetryError) as error:
            await self.set_aside(entry_id, fields, f"it cannot be read: {error!r}")
        return None


def packed_entries(gathered: Gathered) -> list[bytes]:
    """Pack rows into entries that Redis copies in a moment; the first has the complaints."""
    rows = gathered.telemetry
    parts = [rows.rows(slice(at, at + ENTRY_ROWS)) for at in range(0, len(rows), ENTRY_ROWS)]
    return [
        pack(Gathered(part, () if at else gathered.complaints)) for at, part in enumerate(parts)
    ]
