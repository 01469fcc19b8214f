"""The feeder over a real store and a real Redis: each interval once, whatever dies meanwhile."""

import os
from typing import Any

import numpy as np
import pytest
from redis.asyncio import Redis

from config_store.document import StreamsConfig, TelemetryStreams
from deployments.anomaly.telemetry.feeder import Feeder
from deployments.anomaly.telemetry.handler import EvenBudget, TelemetryHandler
from deployments.anomaly.telemetry.keys import KIND, key_of
from deployments.anomaly.telemetry.put_off import FIRST_SECONDS
from deployments.anomaly.telemetry.streams import TelemetryKeys
from deployments.history.client import HistoryAwayError
from deployments.runtime.batch import Batch
from deployments.runtime.state.log import KeyLog
from deployments.runtime.state.operations import Delete
from deployments.runtime.state.service import KeyedService
from features.telemetry import judged as judged_module
from features.telemetry.judged import Judged, read_judged
from observability.ledger.decision import DecisionIds
from tests.deployments.anomaly.telemetry.conftest import Clock
from tests.deployments.little_history import MINUTE, LittleHistory, telemetry

BEGIN = 1_772_452_800
STREAMS = StreamsConfig(telemetry=TelemetryStreams(metrics=("request_rate", "p99_ms")))


class Feeding:
    """A replica's feeder; another one begins where a test lets this one die."""

    def __init__(self, redis: Redis, clock: Clock) -> None:
        self.redis = redis
        self.clock = clock
        self.streams = STREAMS
        self.leads = True
        self.start()

    def start(self) -> None:
        budget = EvenBudget()
        log = KeyLog(self.redis, KIND)
        self.service = KeyedService(TelemetryHandler(budget, self.clock), log, self.clock)
        keys = TelemetryKeys(
            self.service, log, budget, DecisionIds(self.clock, os.urandom), self.clock
        )
        self.feeder = Feeder(keys, self.redis, lambda: self.leads, lambda: self.streams, self.clock)

    async def feed(self) -> None:
        while await self.feeder.step():
            continue

    async def judged(self, entity: str) -> Judged | None:
        return (await read_judged(self.redis, [entity])).get(entity)

    async def names(self) -> list[str]:
        return await KeyLog(self.redis, KIND).every_name()


@pytest.fixture
def feeding(redis: Redis, clock: Clock, little_history: LittleHistory) -> Feeding:  # noqa: ARG001 - it answers
    return Feeding(redis, clock)


def minutes(first: int, count: int) -> list[int]:
    return [BEGIN + MINUTE * at for at in range(first, first + count)]


def around(level: float, count: int, seed: int = 0) -> list[float]:
    found: list[float] = np.random.default_rng(seed).normal(level, level / 20, count).tolist()
    return found


def usual(entity: str, first: int, count: int, level: float = 20.0) -> Any:
    return telemetry(
        entity,
        minutes(first, count),
        request_rate=around(50.0, count, first),
        p99_ms=around(level, count, first + 1),
    )


async def test_an_entity_begins_with_its_past_and_goes_on_interval_by_interval(
    feeding: Feeding, little_history: LittleHistory
) -> None:
    await little_history.store_rows(usual("orders", 0, 200))
    await feeding.feed()
    begun = await feeding.judged("orders")
    assert begun is not None
    assert set(begun.metrics) == {"request_rate", "p99_ms"}
    assert begun.metrics["p99_ms"].observations == 200
    assert begun.metrics["p99_ms"].mean == pytest.approx(20, abs=0.5)
    assert begun.event_time == BEGIN + 199 * MINUTE
    await little_history.store_rows(usual("orders", 200, 1, level=90.0))
    await feeding.feed()
    after = await feeding.judged("orders")
    assert after is not None
    assert after.metrics["p99_ms"].observations == 201
    assert after.metrics["p99_ms"].missing == 0
    assert after.metrics["p99_ms"].p_value < 0.02 < after.metrics["request_rate"].p_value
    assert after.metrics["p99_ms"].known_time == feeding.clock.now


@pytest.mark.parametrize("forgets", [False, True])
async def test_a_feeder_that_dies_anywhere_is_followed_to_the_same_bits(
    feeding: Feeding,
    little_history: LittleHistory,
    monkeypatch: pytest.MonkeyPatch,
    forgets: bool,
) -> None:
    """One dies after it fed, before it could say so; what it said may be lost as well."""
    for entity in ("quiet", "quaked"):
        await little_history.store_rows(usual(entity, 0, 60))
        await feeding.feed()
    await little_history.store_rows(usual("quiet", 60, 5))
    await feeding.feed()
    await little_history.store_rows(usual("quaked", 60, 5))
    with monkeypatch.context() as patch:
        died = RuntimeError("the power is cut")

        async def cut(*_: Any) -> None:
            raise died

        patch.setattr("deployments.anomaly.telemetry.feeder.publish_judged", cut)
        with pytest.raises(RuntimeError, match="power"):
            await feeding.feed()
    if forgets:
        await judged_module.forget_judged(feeding.redis, ["quaked"])
    feeding.start()
    await feeding.feed()
    for first in (65, 66, 67):
        for entity in ("quiet", "quaked"):
            await little_history.store_rows(usual(entity, first, 1))
        await feeding.feed()
    quiet, quaked = await feeding.judged("quiet"), await feeding.judged("quaked")
    assert quiet is not None
    assert quaked is not None
    for metric in quiet.metrics:
        one, other = quiet.metrics[metric], quaked.metrics[metric]
        assert (one.observations, one.missing) == (68, 0)
        assert (other.observations, other.missing) == (68, 0)
        assert (one.mean, one.sd, one.change_probability, one.score, one.since) == (
            *(other.mean, other.sd, other.change_probability, other.score, other.since),
        )


async def test_while_nobody_feeds_the_store_keeps_the_rows(
    feeding: Feeding, little_history: LittleHistory
) -> None:
    await little_history.store_rows(usual("orders", 0, 50))
    await feeding.feed()
    feeding.leads = False
    await little_history.store_rows(usual("orders", 50, 30))
    await feeding.feed()
    before = await feeding.judged("orders")
    little_history.away = feeding.leads = True
    with pytest.raises(HistoryAwayError):
        await feeding.feed()
    little_history.away = False
    await little_history.store_rows(usual("orders", 80, 1))
    feeding.start()
    await feeding.feed()
    after = await feeding.judged("orders")
    assert before is not None
    assert after is not None
    assert before.metrics["p99_ms"].observations == 50
    assert after.metrics["p99_ms"].observations == 81


async def test_gaps_are_counted_and_what_comes_too_late_stays_out(
    feeding: Feeding, little_history: LittleHistory
) -> None:
    await little_history.store_rows(usual("orders", 0, 30))
    await little_history.store_rows(usual("orders", 33, 1))
    await feeding.feed()
    await little_history.store_rows(usual("orders", 31, 1))  # too late
    await little_history.store_rows(telemetry("orders", minutes(34, 1), request_rate=[50.0]))
    await feeding.feed()
    # The other metric of that interval comes from another source, a moment later.
    await little_history.store_rows(telemetry("orders", minutes(34, 1), p99_ms=[20.0]))
    await little_history.store_rows(telemetry("orders", minutes(35, 1), request_rate=[50.0]))
    await feeding.feed()
    found = await feeding.judged("orders")
    assert found is not None
    assert (found.metrics["p99_ms"].observations, found.metrics["p99_ms"].missing) == (32, 3)
    assert found.metrics["request_rate"].observations == 33
    assert set(found.newest) == {"request_rate"}


async def test_an_alarm_is_one_event_however_often_it_is_told(
    feeding: Feeding, little_history: LittleHistory, redis: Redis
) -> None:
    often = TelemetryStreams(metrics=("p99_ms",), alarms_per_day=1e6)
    feeding.streams = StreamsConfig(telemetry=often)
    p99_ms = [*around(20.0, 1570), *around(200.0, 20)]  # it learns from 1536
    rows = telemetry("orders", minutes(0, 1590), p99_ms=p99_ms)
    await little_history.store_rows(rows)
    await feeding.feed()
    told = await little_history.events("alarm")
    assert told
    assert {each["entity"] for each in told} == {"orders"}
    assert {each["details"]["metric"] for each in told} == {"p99_ms"}
    assert all(
        BEGIN + 1536 * MINUTE <= each["time"].timestamp() < BEGIN + 1590 * MINUTE for each in told
    )
    assert told[-1]["details"]["value"] in rows.p99_ms.tolist()
    await judged_module.forget_judged(redis, ["orders"])
    feeding.start()
    await feeding.feed()
    await little_history.store_rows(usual("orders", 1590, 1))
    await feeding.feed()
    again = await little_history.events("alarm")
    assert [each["id"] for each in again][: len(told)] == [each["id"] for each in told]
    found = await feeding.judged("orders")
    assert found is not None
    assert found.metrics["p99_ms"].alarms == len(again)


async def test_what_the_configuration_no_longer_names_is_deleted(
    feeding: Feeding, little_history: LittleHistory
) -> None:
    for entity in ("basket", "orders"):
        await little_history.store_rows(usual(entity, 0, 20))
    await feeding.feed()
    assert await feeding.names() == [
        *("p99_ms basket", "p99_ms orders", "request_rate basket", "request_rate orders"),
    ]
    one = TelemetryStreams(metrics=("p99_ms", "error_rate"), most_entities=1)
    feeding.streams = StreamsConfig(telemetry=one)
    await feeding.feed()
    assert await feeding.names() == ["p99_ms basket"]
    assert await feeding.judged("orders") is None
    basket = await feeding.judged("basket")
    assert basket is not None
    assert basket.asked == ["p99_ms", "error_rate"]
    feeding.streams = StreamsConfig(telemetry=TelemetryStreams(metrics=()))
    await feeding.feed()
    assert await feeding.names() == []


async def test_a_source_whose_past_is_still_coming_is_waited_for(
    feeding: Feeding, little_history: LittleHistory, clock: Clock
) -> None:
    little_history.filling = frozenset({"prometheus"})
    await little_history.store_rows(usual("orders", 99, 1))
    await feeding.feed()
    assert await feeding.judged("orders") is None
    await little_history.store_rows(usual("orders", 0, 99))
    little_history.filling = frozenset()
    await feeding.feed()
    found = await feeding.judged("orders")
    assert found is not None
    assert found.metrics["p99_ms"].observations == 100
    little_history.filling = frozenset({"prometheus"})
    await little_history.store_rows(usual("basket", 99, 1))
    await feeding.feed()
    assert await feeding.judged("basket") is None
    clock.now += 601
    await feeding.feed()
    assert await feeding.judged("basket") is not None


@pytest.mark.parametrize("kind", ["another release's", "no stream's"])
async def test_a_stream_that_cannot_be_read_keeps_no_other_entity_back(
    feeding: Feeding, little_history: LittleHistory, redis: Redis, kind: str
) -> None:
    """Not while it is near, and not when it is far behind and comes first of all.

    A key of another type fails whatever is read with it.
    """
    entities = ("alpha", "basket", "candles")
    for entity in entities:
        await little_history.store_rows(usual(entity, 0, 60))
    await feeding.feed()
    await feeding.service.close()
    key = key_of("alpha", "p99_ms")
    snapshot = KeyLog(redis, KIND).names_of(key)[1]
    if kind == "no stream's":
        await redis.delete(snapshot)
        await redis.set(snapshot, b"a text")
    else:
        await redis.hset(snapshot, "s", b"of another release")
    feeding.start()
    for first in range(60, 84):
        for entity in entities:
            await little_history.store_rows(usual(entity, first, 1))
        feeding.clock.now += MINUTE
        for _ in range(3):  # a moment apart: who failed together is tried again alone
            await feeding.feed()
            feeding.clock.now += FIRST_SECONDS
        for entity in entities[1:]:
            found = await feeding.judged(entity)
            assert found is not None
            assert found.event_time == BEGIN + first * MINUTE
    behind = await feeding.judged("alpha")
    assert behind is not None
    assert behind.event_time == BEGIN + 59 * MINUTE
    if kind == "no stream's":
        return  # whoever put it there takes it away: the API deletes streams alone
    # Deleted, it begins anew by what the history has.
    await feeding.service.answer(
        Batch(KIND, ["alpha"], {}, [Delete(op="delete")], [key], ["d"]), "", ""
    )
    for _ in range(3):  # it was put off for up to a minute, as all were that failed with it
        feeding.clock.now += MINUTE
        await feeding.feed()
    again = await feeding.judged("alpha")
    assert again is not None
    assert {each.event_time for each in again.metrics.values()} == {BEGIN + 83 * MINUTE}
