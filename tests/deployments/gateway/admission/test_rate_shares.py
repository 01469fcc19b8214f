import pytest
from redis.asyncio import Redis

from access.keys import Principal, Role
from config_store.quotas import Quota, QuotasConfig
from deployments.api.errors import QuotaError
from deployments.gateway.admission.rate_limits import RateLimits
from deployments.gateway.admission.rate_shares import ALIVE_SECONDS, RateShares

ADA = Principal("ada", Role.CLIENT)
RATE = 1_000.0


class Gateways:
    """Some gateways at one Redis, and a clock that only moves when it is told to."""

    def __init__(self, redis: Redis, count: int) -> None:
        self.now = 0.0
        config = QuotasConfig(default=Quota(requests_per_second=RATE, burst_seconds=0.1))
        self.limits = [RateLimits(self._clock) for _ in range(count)]
        for each in self.limits:
            each.configure(config)
        self.shares = [RateShares(redis, each, self._clock) for each in self.limits]

    def _clock(self) -> float:
        return self.now

    async def agree(self) -> None:
        for each in self.shares:
            await each.agree()

    async def second(self, sent: list[int]) -> list[int]:
        """Send so many requests to each gateway within a second; count those that pass."""
        found, steps = [0] * len(sent), max(sent)
        for step in range(steps):
            self.now += 1 / steps
            for which, count in enumerate(sent):
                if step * count // steps != (step + 1) * count // steps:
                    found[which] += self._try(which)
        await self.agree()
        return found

    def _try(self, which: int) -> int:
        try:
            self.limits[which].take_request(ADA)
        except QuotaError:
            return 0
        return 1


async def test_two_gateways_together_let_a_keys_rate_through(redis: Redis) -> None:
    gateways = Gateways(redis, 2)
    await gateways.agree()
    for _ in range(3):
        await gateways.second([3_000, 1_000])
    passed = [sum(await gateways.second([3_000, 1_000])) for _ in range(3)]
    assert sum(passed) / 3 == pytest.approx(RATE, rel=0.05)


async def test_a_client_of_one_gateway_gets_its_whole_rate_there(redis: Redis) -> None:
    gateways = Gateways(redis, 3)
    await gateways.agree()
    await gateways.second([2_000, 0, 0])
    await gateways.second([2_000, 0, 0])
    assert (await gateways.second([2_000, 0, 0]))[0] == pytest.approx(RATE, rel=0.05)


async def test_a_gateway_that_is_gone_leaves_its_share_to_the_others(redis: Redis) -> None:
    gateways = Gateways(redis, 2)
    await gateways.agree()
    await gateways.second([2_000, 2_000])
    gateways.shares.pop()
    gateways.limits.pop()
    gateways.now += ALIVE_SECONDS
    await gateways.second([2_000])
    await gateways.second([2_000])
    assert (await gateways.second([2_000]))[0] == pytest.approx(RATE, rel=0.05)
