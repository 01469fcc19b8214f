"""Notes on the timeline when something begins to drift and when it ends, each once.

Every gateway sees the same drift. What drifts is kept in Redis, and a script changes that and notes
the event in one step: the first gateway tells, and the others find that it was told.
"""

from collections.abc import Callable, Mapping
from typing import Any

from redis.asyncio import Redis

from observability.timeline.event import Detail, Event
from observability.timeline.stream import NOTE, stream_keys
from settings.redis_names import redis_name

_BEGIN = f"""
{NOTE}
if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) == 1 then note(KEYS[2], KEYS[3], ARGV[3]) end
"""
_END = f"""
{NOTE}
if redis.call('HDEL', KEYS[1], ARGV[1]) == 1 then note(KEYS[2], KEYS[3], ARGV[2]) end
"""


class DriftRecord:
    """What drifts by now, by its name such as `the replica tail-1`, and since when."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._key = redis_name(redis, "config", "drift")
        self._keys = [self._key, *stream_keys(redis)]
        self._begin = redis.register_script(_BEGIN)
        self._end = redis.register_script(_END)

    async def note(
        self, drifting: Mapping[str, str], why_ended: Callable[[str], str | None], now: float
    ) -> None:
        """Note what drifts, each with how, and what is over: None where that is not known."""
        found: Any = await self._redis.hgetall(self._key)
        known = {name.decode(): float(since) for name, since in found.items()}
        for name, how in sorted(drifting.items()):
            if name not in known:
                begun = Event("config_drift_begun", now, details={"what": name, "reason": how})
                await self._begin(keys=self._keys, args=[name, repr(now), begun.to_json()])
        for name, since in sorted(known.items()):
            if name not in drifting and (why := why_ended(name)) is not None:
                details: dict[str, Detail] = {"what": name, "reason": why, "begun": since}
                ended = Event("config_drift_ended", now, details=details)
                await self._end(keys=self._keys, args=[name, ended.to_json()])
