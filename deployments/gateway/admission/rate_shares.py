"""How several gateways share a key's rates: in proportion to what each was asked of late.

Every second each gateway writes down how many requests and rows each key sent to it, and reads what
the others wrote. Its share of a key's rate is its part of what all were asked, with a little for
gateways that were asked nothing; the shares of all add up to 1. So a client whose one connection
ends at one gateway has its whole quota there from the second second on. With Redis away the shares
stay as they are; the sum over the gateways is then still the quota.
"""

import secrets
from collections.abc import Mapping

import orjson
from redis.asyncio import Redis

from deployments.gateway.admission.rate_limits import RateLimits
from deployments.runtime.clocks import Clocks
from deployments.runtime.peers import Peers
from settings.redis_names import redis_name

# A gateway that has written nothing new for so long is gone, and the others take its share.
ALIVE_SECONDS = 3.0
# What a gateway that was asked nothing keeps, all such gateways together.
IDLE_SHARE = 0.05

Demand = Mapping[str, tuple[float, float]]


class RateShares:
    def __init__(self, redis: Redis, limits: RateLimits, clocks: Clocks) -> None:
        self._redis = redis
        self._limits = limits
        self._wall = clocks.wall
        self._peers = Peers(ALIVE_SECONDS, clocks)
        self._key = redis_name(redis, "quotas", "asked")
        self._name = secrets.token_hex(8)

    async def agree(self) -> None:
        """Write down what was asked here, and take the shares that follow for all gateways."""
        own = self._limits.demand()
        pipe = self._redis.pipeline(transaction=False)
        pipe.hset(self._key, self._name, orjson.dumps({"at": self._wall(), "keys": own}))
        pipe.hgetall(self._key)
        _, found = await pipe.execute()
        written = {name.decode(errors="replace"): each for name, each in found.items()}
        written.pop(self._name, None)
        gone = self._peers.gone(written)
        if gone:
            await self._redis.hdel(self._key, *gone)
        others = [_demand_in(each) for name, each in written.items() if name not in gone]
        self._limits.take_shares(shares_of(own, others), 1 / (len(others) + 1))

    async def leave(self) -> None:
        await self._redis.hdel(self._key, self._name)


def _demand_in(written: bytes) -> Demand:
    """Read what a gateway was asked; nothing where another release wrote it otherwise."""
    try:
        keys = orjson.loads(written)["keys"]
        return {key: (float(requests), float(rows)) for key, (requests, rows) in keys.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def shares_of(own: Demand, others: list[Demand]) -> dict[str, tuple[float, float]]:
    """Give this gateway's share of each key's requests and rows."""
    gateways = len(others) + 1
    keys = own.keys() | {key for each in others for key in each}
    return {
        key: (_share(key, 0, own, others, gateways), _share(key, 1, own, others, gateways))
        for key in keys
    }


def _share(key: str, which: int, own: Demand, others: list[Demand], gateways: int) -> float:
    here = own.get(key, (0, 0))[which]
    total = here + sum(each.get(key, (0, 0))[which] for each in others)
    if total == 0:
        return 1 / gateways
    return (1 - IDLE_SHARE) * here / total + IDLE_SHARE / gateways
