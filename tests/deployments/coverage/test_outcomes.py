import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest
from redis.asyncio import Redis

from deployments.batch import Prediction
from deployments.coverage.outcomes import Outcomes
from deployments.coverage.standings import Standings
from deployments.errors import ConflictError, UnavailableError
from tests.redis_server import RedisServer, running


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with running() as found:
        yield found


@pytest.fixture
async def redis(server: RedisServer) -> AsyncIterator[Redis]:
    client = server.client()
    yield client
    await client.aclose()


def clock() -> float:
    return 0.0


async def tell(outcomes: Outcomes, standings: Standings, n: int, spread: float, seed: int) -> float:
    """Tell so many outcomes of intervals of a fixed base width; give the share that was held."""
    draw = np.random.default_rng(seed)
    held = 0
    for at in range(n):
        base = np.array([20 / math.e]), np.array([20 * math.e])
        widened = standings.widen(["auth"], *base)
        (told,) = widened.told
        ask = {
            "decision": f"{seed}-{at}",
            "lower": float(widened.lower[0]),
            "upper": float(widened.upper[0]),
            "offset": told["offset"] if told else 0.0,
            "truth": 20 * math.exp(spread * draw.normal()),
        }
        found = await outcomes.take("tail", "auth", ask)
        held += found["held"]
        assert found["outcomes"] >= at + 1
        await standings.refresh()
    return held / n


async def test_intervals_that_miss_too_often_are_widened_until_they_hold(redis: Redis) -> None:
    outcomes, standings = Outcomes(redis, clock), Standings(redis, "tail")
    assert not standings
    await tell(outcomes, standings, 150, 1.5, 1)
    assert 0.86 < await tell(outcomes, standings, 300, 1.5, 2) < 0.94
    assert 0.86 < await tell(outcomes, standings, 300, 0.5, 3) < 0.97  # and drawn in again
    coverage = standings.mean_coverage()
    assert coverage is not None
    assert 0.85 < coverage < 0.95


async def test_another_familys_or_entitys_intervals_stay_as_they_are(redis: Redis) -> None:
    outcomes = Outcomes(redis, clock)
    standings, other = Standings(redis, "tail"), Standings(redis, "capacity")
    await tell(outcomes, standings, 60, 3.0, 1)
    await other.refresh()
    assert not other
    lower, upper = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    widened = standings.widen(["auth", "nobody"], lower, upper)
    assert widened.upper[0] > 3.0
    assert (widened.lower[1], widened.upper[1]) == (2.0, 4.0)
    assert widened.told[1] is None
    hours = standings.widen(["auth"], np.ones((1, 24)), np.ones((1, 24)))
    assert np.unique(hours.upper).size == 1
    assert hours.upper[0, 0] == pytest.approx(widened.upper[0] / 3.0)


async def test_an_outcome_counts_once_and_outlives_its_teller(redis: Redis) -> None:
    ask = {"decision": "d", "lower": 1.0, "upper": 2.0, "offset": 0.0, "truth": 5.0}
    first = await Outcomes(redis, clock).take("tail", "auth", ask)
    assert (first["held"], first["outcomes"], first["coverage"]) == (False, 1, 0.0)
    with pytest.raises(ConflictError):
        await Outcomes(redis, clock).take("tail", "auth", ask)


async def test_what_redis_lost_counts_anew_where_it_was_taken_too(redis: Redis) -> None:
    """A restart without its data is no reason to say that what is nowhere was counted."""
    outcomes, standings = Outcomes(redis, clock), Standings(redis, "tail")
    ask = {"decision": "d", "lower": 1.0, "upper": 2.0, "offset": 0.0, "truth": 5.0}
    await outcomes.take("tail", "auth", {**ask, "decision": "before"})
    await outcomes.take("tail", "auth", ask)
    await redis.flushall()
    assert (await outcomes.take("tail", "auth", ask))["outcomes"] == 1
    await standings.refresh()
    assert standings.mean_coverage() == 0.0
    with pytest.raises(ConflictError):
        await outcomes.take("tail", "auth", ask)


async def test_many_tellers_at_once_lose_and_double_nothing(redis: Redis) -> None:
    tellers = [Outcomes(redis, clock) for _ in range(4)]

    async def some(which: int) -> int:
        taken = 0
        for at in range(30):
            ask = {"decision": f"{which}-{at}", "lower": 1.0, "upper": 2.0, "offset": 0.0}
            try:
                await tellers[which].take("tail", "auth", {**ask, "truth": 1.5})
            except UnavailableError:
                continue
            taken += 1
        return taken

    taken = sum(await asyncio.gather(*(some(which) for which in range(4))))
    ask = {"decision": "last", "lower": 1.0, "upper": 2.0, "offset": 0.0, "truth": 1.5}
    assert (await Outcomes(redis, clock).take("tail", "auth", ask))["outcomes"] == taken + 1


async def test_a_teller_that_is_late_says_nothing_old(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, other, standings = (
        Outcomes(redis, clock),
        Outcomes(redis, clock),
        Standings(redis, "tail"),
    )
    counted, go_on = asyncio.Event(), asyncio.Event()
    answer = late._service.answer

    async def stopped(*given: Any) -> Prediction:
        found = await answer(*given)
        counted.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(late._service, "answer", stopped)
    ask = {"lower": 1.0, "upper": 2.0, "offset": 0.0, "truth": 1.5}
    first = asyncio.create_task(late.take("tail", "auth", {**ask, "decision": "first"}))
    await counted.wait()
    second = await other.take("tail", "auth", {**ask, "decision": "second"})
    go_on.set()
    assert ((await first)["outcomes"], second["outcomes"]) == (1, 2)
    await standings.refresh()
    (told,) = standings.told(["auth"])
    assert told is not None
    assert told["outcomes"] == 2


async def test_while_redis_is_away_nothing_is_taken(server: RedisServer, redis: Redis) -> None:
    outcomes, standings = Outcomes(redis, clock), Standings(redis, "tail")
    await tell(outcomes, standings, 30, 3.0, 1)
    before = standings.offsets(["auth"])
    server.kill()
    ask = {"decision": "d", "lower": 1.0, "upper": 2.0, "offset": 0.0, "truth": 5.0}
    with pytest.raises(UnavailableError):
        await outcomes.take("tail", "auth", ask)
    await standings.refresh()
    assert standings.offsets(["auth"]) == before
    server.start()
    assert (await outcomes.take("tail", "auth", ask))["outcomes"] == 31
