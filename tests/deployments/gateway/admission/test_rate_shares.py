from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from access.keys import Principal, Role
from config_store.quotas import Quota, QuotasConfig
from deployments.api.errors import QuotaError
from deployments.gateway.admission.rate_limits import RateLimits
from deployments.gateway.admission.rate_shares import ALIVE_SECONDS, RateShares

ADA = Principal("ada", Role.CLIENT)
RATE = 1_000.0


class MachineClocks:
    """The clocks of a machine."""

    def __init__(self, monotonic: Callable[[], float], ahead: float) -> None:
        self.monotonic = monotonic
        self._ahead = ahead

    def wall(self) -> float:
        return self.monotonic() + self._ahead


class Gateways:
    """Some gateways at one Redis, and a clock that only moves when it is told to.

    The wall clock of each is ahead of the one before by so much.
    """

    def __init__(self, redis: Redis, count: int, apart: float = 0.0) -> None:
        self.now = 0.0
        config = QuotasConfig(default=Quota(requests_per_second=RATE, burst_seconds=0.1))
        self.limits = [RateLimits(self._clock) for _ in range(count)]
        for each in self.limits:
            each.configure(config)
        self.shares = [
            RateShares(redis, each, MachineClocks(self._clock, which * apart))
            for which, each in enumerate(self.limits)
        ]

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
    for _ in range(int(ALIVE_SECONDS) + 2):
        await gateways.second([2_000])
    assert (await gateways.second([2_000]))[0] == pytest.approx(RATE, rel=0.05)


async def test_gateways_whose_clocks_differ_share_a_keys_rate_all_the_same(redis: Redis) -> None:
    gateways = Gateways(redis, 2, apart=10 * ALIVE_SECONDS)
    await gateways.agree()
    for _ in range(3):
        await gateways.second([2_000, 2_000])
    passed = [sum(await gateways.second([2_000, 2_000])) for _ in range(3)]
    assert sum(passed) / 3 == pytest.approx(RATE, rel=0.05)


@pytest.mark.parametrize("written", ["{", "[1]", '{"at": 1}', '{"keys": {"ada": [1]}}'])
async def test_what_another_release_wrote_counts_as_a_gateway_that_was_asked_nothing(
    redis: Redis, written: str
) -> None:
    gateways = Gateways(redis, 1)
    await redis.hset("ballast:quotas:asked", "another", written)
    await gateways.second([2_000])
    await gateways.second([2_000])
    assert gateways.limits[0].keys["ada"].request_share > 0.9
