"""Replicas that share the streams: how many there are, and which one leads."""

import pytest
from redis.asyncio import Redis

from deployments.anomaly import holders
from deployments.anomaly.holders import Holders
from tests.waiting import eventually


async def test_of_several_holders_one_leads_and_all_are_counted(redis: Redis) -> None:
    several = [Holders(redis) for _ in range(3)]
    for _ in range(2):
        counts = [await each.count() for each in several]
    assert counts == [3, 3, 3]
    assert sum(each.leads() for each in several) == 1


async def test_a_holder_that_leaves_is_counted_no_more_and_another_leads(redis: Redis) -> None:
    several = [Holders(redis) for _ in range(2)]
    for each in (*several, *several):
        await each.count()
    (leader,) = (each for each in several if each.leads())
    (other,) = (each for each in several if not each.leads())
    await leader.leave()
    assert await other.count() == 1
    assert other.leads()


async def test_a_holder_that_died_is_counted_no_more_after_a_while(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = Holders(redis), Holders(redis)
    await other.count()
    assert await one.count() == 2
    monkeypatch.setattr(holders, "ALIVE_SECONDS", 0.2)

    async def is_alone() -> bool:
        return await one.count() == 1

    await eventually(is_alone)
    assert one.leads()
