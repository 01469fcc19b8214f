"""What was foretold of hours that are not counted yet, in Redis: a replica that ends loses none."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson
from redis.asyncio import Redis

from settings.redis_names import redis_name

# Nobody asks for what is older: without a forecasting replica for as long, all of it goes.
KEPT_SECONDS = 50 * 3600


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
        found: Any = await self._redis.hgetall(self._name)
        return {
            int(start): {entity: Ends(*each) for entity, each in orjson.loads(kept).items()}
            for start, kept in found.items()
        }

    async def remove(self, starts: Iterable[int]) -> None:
        await self._redis.hdel(self._name, *map(str, starts))
