"""The way onto the timeline for every process but the history actor: a stream in Redis.

A script in Redis that changes something notes the event in the same step, by `NOTE`: the change
and its event are both there, or neither. While the archive is away the stream keeps the newest
events and counts those that it let go.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from redis.asyncio import Redis

from observability.timeline.event import Event
from settings.redis_names import redis_name

FIELD = b"e"
MOST = 10_000

# Defines `note(stream, lost, event)` for a script; `stream` and `lost` are the names of
# `stream_keys`, and the event is JSON as `Event.to_json` writes it.
NOTE = f"""
local function note(stream, lost, event)
    redis.call('XADD', stream, '*', 'e', event)
    local gone = redis.call('XTRIM', stream, 'MAXLEN', '=', {MOST})
    if gone > 0 then redis.call('INCRBY', lost, gone) end
end
"""

_ADD = f"""
{NOTE}
for _, event in ipairs(ARGV) do note(KEYS[1], KEYS[2], event) end
"""


class Message(NamedTuple):
    id: str
    data: bytes


def stream_keys(redis: Redis) -> list[str]:
    """Name the stream, and the count of what it let go."""
    return [redis_name(redis, "timeline"), redis_name(redis, "timeline", "lost")]


class TimelineStream:
    """A Redis that is away shows as redis.exceptions.RedisError."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._keys = stream_keys(redis)
        self._add = redis.register_script(_ADD)

    async def add(self, events: Sequence[Event]) -> None:
        if events:
            await self._add(keys=self._keys, args=[each.to_json() for each in events])

    async def read(self, count: int, after: str = "") -> list[Message]:
        """Read the oldest messages that are not done; after the one with this id."""
        begin = f"({after}" if after else "-"
        found: Any = await self._redis.xrange(self._keys[0], min=begin, count=count)
        return [Message(key.decode(), fields.get(FIELD, b"")) for key, fields in found]

    async def done(self, messages: Sequence[Message]) -> None:
        """Let go of messages that are safely elsewhere."""
        if messages:
            await self._redis.xdel(self._keys[0], *(each.id for each in messages))

    async def lost(self) -> int:
        """Count the events that the stream let go, in all its life."""
        return int(await self._redis.get(self._keys[1]) or 0)
