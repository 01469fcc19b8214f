"""Forecasts of hours that are not counted yet, in Redis: a replica that ends loses none."""

import logging
import math
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import orjson
from redis.asyncio import Redis

from settings.redis_names import redis_name

# Nobody asks for what is older: without a forecasting replica for as long, all of it goes.
KEPT_SECONDS = 50 * 3600

_ENDS, _CORRECTION = slice(3), slice(3, None)

# Scripts, for a full Redis takes no transaction, also not one that makes room.
_READ = "return {redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2])}"
_REMOVE = """
redis.call('HDEL', KEYS[1], unpack(ARGV))
redis.call('HDEL', KEYS[2], unpack(ARGV))
"""

log = logging.getLogger(__name__)


class Ends(NamedTuple):
    """One entity's base interval of an hour, and what makes of it the one that clients got."""

    lower: float
    upper: float
    offset: float
    """By which clients got it widened."""
    # What releases that did not correct by each entity's own past left says nothing of these.
    expected: float = math.nan
    """Of the hour in which clients got it: how far the rate lies from it corrects both ends."""
    left: float = 0.0
    """Share of that surprise which is left."""


class KeptHours:
    """One hash: its fields are the hours' first seconds. All replicas of a platform share it.

    Beside it is one of corrections; both change at once, and are read so.
    """

    def __init__(self, redis: Redis, name: str) -> None:
        self._redis = redis
        self._name = redis_name(redis, "forecasts", name)
        # Beside it, for a release that knows of no corrections reads three numbers an entity.
        self._corrections = redis_name(redis, "forecasts", f"{name}-corrections")
        self._read = redis.register_script(_READ)
        self._remove = redis.register_script(_REMOVE)

    async def write(self, start: int, ends: Mapping[str, Ends]) -> None:
        pipe = self._redis.pipeline(transaction=True)
        for name, part in ((self._name, _ENDS), (self._corrections, _CORRECTION)):
            kept = {entity: each[part] for entity, each in ends.items()}
            pipe.hset(name, str(start), orjson.dumps(kept))
            pipe.expire(name, KEPT_SECONDS)
        await pipe.execute()

    async def read(self) -> dict[int, dict[str, Ends]]:
        """Give what can be read; what another release wrote stays for it, but not for ever."""
        both: Any = await self._read(keys=[self._name, self._corrections])
        found, corrections = (dict(zip(each[::2], each[1::2], strict=True)) for each in both)
        hours, unread = dict[int, dict[str, Ends]](), list[int]()
        for start, kept in found.items():
            try:
                hours[int(start)] = _read(kept, corrections.get(start, b"{}"))
            except (ValueError, TypeError, AttributeError) as why:
                log.warning("The forecasts of hour %s cannot be read: %r", start.decode(), why)
                unread += [int(start)] if start.isdigit() else []
        newest = max([*hours, *unread], default=0)
        if over := [start for start in unread if start < newest - KEPT_SECONDS]:
            await self.remove(over)
        return hours

    async def remove(self, starts: Collection[int]) -> None:
        await self._remove(keys=[self._name, self._corrections], args=list(starts))


def _read(kept: bytes, corrections: bytes) -> dict[str, Ends]:
    corrected = orjson.loads(corrections)
    hour = dict[str, Ends]()
    for entity, (lower, upper, offset) in orjson.loads(kept).items():
        expected, left = corrected.get(entity) or (None, 0.0)
        hour[entity] = Ends(lower, upper, offset, _number(expected), left)
    return hour


def _number(value: float | None) -> float:
    return math.nan if value is None else value  # JSON has no NaN
