"""The load of `make chaos` and its books, held against the whole DAG without a cluster."""

import asyncio

from benchmarks.chaos.audit import states
from benchmarks.chaos.books import Books
from benchmarks.chaos.client import Client
from benchmarks.chaos.load import OBSERVATIONS_A_LIFE, PACES, Load
from benchmarks.chaos.undisturbed import differing
from tests.deployments.house import House
from tests.waiting import PATIENCE_SECONDS, until

# There is no history actor here, and so neither telemetry nor an archive.
IN_THE_CLUSTER = {"extreme-events", "capacity-planning", "decisions"}


async def test_with_replicas_killed_under_it_the_load_finds_nothing_lost(house: House) -> None:
    books = Books(clock=asyncio.get_running_loop().time)
    async with house.client() as http:
        client = Client(http, books)
        load = Load(client, books, "test", seed=3)
        tasks = load.start(set(PACES) - IN_THE_CLUSTER)
        for stage in ("anomaly", "optimization"):
            answered = books.answered.total()
            await until(lambda n=answered: books.answered.total() > n + 50)  # type: ignore[misc] # bound now
            await house.start(stage)
            house.kill(stage)
        await until(lambda: len(books.lives) > 1, 2 * PATIENCE_SECONDS)
        load.stop()
        await asyncio.gather(*tasks)
        shown = await states(http, books)
    assert books.wrong == []
    assert [each for each in shown if each.counted.lost(each.found)] == []
    assert [each for each in shown if each.counted.doubled(each.found)] == []
    assert books.lives[0][1] == OBSERVATIONS_A_LIFE
    assert all(differing(feed) == [] for feed in load.feeds)
    kept = (books.observations, books.rewards, books.trials)
    assert all(sum(each.acknowledged for each in kind.values()) > 0 for kind in kept)
