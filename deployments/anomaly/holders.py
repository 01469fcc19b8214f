"""How many replicas share the streams, and so the budget of false alarms.

They go by Redis's clock: two replicas whose own clocks differed would each take the other for gone,
and both lead.
"""

import secrets

from redis.asyncio import Redis

from settings.redis_names import redis_name

ALIVE_SECONDS = 10.0


class Holders:
    """Replicas sign a list every second; who has not for a while is gone."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._key = redis_name(redis, "streams", "holders")
        self._name = secrets.token_hex(8)
        self._leads = False

    def leads(self) -> bool:
        """Whether this one does what only one of them shall do; for a moment, two may."""
        return self._leads

    async def count(self) -> int:
        """Sign, and count who has signed lately."""
        seconds, microseconds = await self._redis.time()
        now = seconds + microseconds / 1e6
        pipe = self._redis.pipeline(transaction=False)
        pipe.zadd(self._key, {self._name: now})
        pipe.zremrangebyscore(self._key, 0, now - ALIVE_SECONDS)
        pipe.zrange(self._key, 0, -1)
        *_, alive = await pipe.execute()
        self._leads = min(alive, default=b"") == self._name.encode()
        return max(len(alive), 1)

    async def leave(self) -> None:
        await self._redis.zrem(self._key, self._name)
