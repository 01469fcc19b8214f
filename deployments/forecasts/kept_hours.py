"""What was foretold of hours that are not counted yet, in Redis: a replica that ends loses none."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson
from redis.asyncio import Redis

from settings.redis_names import redis_name

# Nobody asks for what is older: without a forecasting replica for as long, all of it goes.
KEPT_SECONDS = 50 * 3600

log = logging.getLogger(__name__)


class Ends(NamedTuple):
    """One entity's base interval of an hour, and by what offset clients got it widened."""

    lower: float
    upper: float
    offset: float


class KeptHours:
    """One hash: its fields are the hours' first seconds. All replicas of a platform share it."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._name = redis_name(redis, "forecasts", "foretold")

    async def write(self, start: int, ends: Mapping[str, Ends]) -> None:
        pipe = self._redis.pipeline(transaction=False)
        kept = {entity: list(each) for entity, each in ends.items()}
        pipe.hset(self._name, str(start), orjson.dumps(kept))
        pipe.expire(self._name, KEPT_SECONDS)
        await pipe.execute()

    async def read(self) -> dict[int, dict[str, Ends]]:
        """Give what can be read; what another release wrote stays for it, but not for ever."""
        found: Any = await self._redis.hgetall(self._name)
        hours, unread = dict[int, dict[str, Ends]](), list[int]()
        for start, kept in found.items():
            try:
                hours[int(start)] = _read(kept)
            except (ValueError, TypeError, AttributeError) as why:
                log.warning("What was foretold of hour %s cannot be read: %r", start.decode(), why)
                unread += [int(start)] if start.isdigit() else []
        newest = max([*hours, *unread], default=0)
        if over := [start for start in unread if start < newest - KEPT_SECONDS]:
            await self.remove(over)
        return hours

    async def remove(self, starts: Iterable[int]) -> None:
        await self._redis.hdel(self._name, *map(str, starts))


def _read(kept: bytes) -> dict[str, Ends]:
    return {entity: Ends(*each) for entity, each in orjson.loads(kept).items()}
