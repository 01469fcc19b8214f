"""Random interleavings, of which `make interleavings RUNS=10000` runs as many as one likes."""

import random

import pytest

from tests.deployments.runtime.state.interleavings import run, run_many
from tests.deployments.runtime.state.lockstep import Lockstep
from tests.effort import tries
from tests.redis_server import RedisServer

RUNS = tries(40, long=1_000)


@pytest.mark.parametrize("first", range(1, 5 * RUNS, RUNS))
async def test_nothing_is_lost_and_nothing_counts_twice(server: RedisServer, first: int) -> None:
    redis = server.patient_client()
    happened = await run_many(redis, first, RUNS)
    await redis.aclose()
    # All of it did happen.
    for what in (
        "acknowledged",
        "removed",
        "given up",
        "lost",
        "unreadable",
        "snapshots",
        "forget",
    ):
        assert happened[what] > 0, what


async def test_a_seed_comes_again(server: RedisServer) -> None:
    redis = server.patient_client()
    for seed in (3, 40, 77):
        assert await run(redis, seed) == await run(redis, seed)
    await redis.aclose()


async def test_tasks_go_on_one_at_a_time_in_an_order_of_the_seed() -> None:
    async def orders(seed: int) -> list[str]:
        steps, seen = Lockstep(random.Random(seed)), list[str]()  # noqa: S311 - it is to come again

        async def work(name: str) -> None:
            for _ in range(5):
                await steps.pause()
                seen.append(name)

        for name in "abc":
            steps.start(name, work(name))
        await steps.run()
        return seen

    found = [await orders(seed) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]
    assert sorted(found[2]) == sorted("abc" * 5)
