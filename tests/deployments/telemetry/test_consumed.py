"""Messages of a real broker become rows, each once, whoever is killed in between."""

import itertools
import json
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from redis.asyncio import Redis

from config_store.sources import EntityFacts, KafkaSource, PushSource, SourcesConfig
from deployments.gateway.telemetry.posted_telemetry import check
from deployments.telemetry.building import kafka_source
from deployments.telemetry.consumed import ConsumedSource
from deployments.telemetry.place import SourcePlace
from deployments.telemetry.publishing import FeaturePublisher
from deployments.telemetry.states import state_of_consumed
from features.sources.breaker import Breaker
from features.sources.kafka import reader
from features.sources.kafka.reads import forget_other_reads
from features.sources.posted import steps
from features.telemetry.by_source import sources_present
from features.telemetry.merged import Scope, interval_rows
from features.telemetry.tables import METRICS, create_measurements
from features.vectors.computed import StoredFeatures
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.errors import QueryRejectedError
from observability.schema import create_tables
from observability.timeline.store import read as read_timeline
from tests.deployments.telemetry.posting import MINUTE, Posting, a_minute
from tests.kafka_broker import KafkaBroker, running
from tests.waiting import PATIENCE_SECONDS

TOPIC = "shop.telemetry"
NO_TELEMETRY = b"no telemetry at all"
ENTITIES = ("billing", "checkout", "search")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[KafkaBroker]:
    with running(tmp_path) as found:
        yield found


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look after a broker more often than one that is not killed needs."""
    monkeypatch.setattr(reader, "QUIET_LOOK_SECONDS", 0.2)
    monkeypatch.setattr(reader, "WAIT_SECONDS", 0.2)
    monkeypatch.setattr(reader, "ANSWER_SECONDS", 1.0)


class Platform:
    """What the history's owner has for one source, over a real store."""

    def __init__(self, store: EmbeddedClickhouse, redis: Redis, config: KafkaSource) -> None:
        self.store = store
        self.config = config
        self.features = FeaturePublisher(store, redis, time.time, lambda _: EntityFacts())
        self.opened: list[ConsumedSource] = []

    def new(self) -> ConsumedSource:
        """Begin as a process does that knows nothing but what is stored."""
        place = SourcePlace(
            "shop", self.config.cadence_seconds, self.store, self.features, time.time
        )
        # A second a call: an open breaker lets a try through when it was asked some times.
        ticks = itertools.count()
        breaker = Breaker(lambda: float(next(ticks)), lambda: 0.5)
        found = kafka_source("shop", self.config, self.store, place, breaker, time.time)
        self.opened.append(found)
        return found

    async def end(self, source: ConsumedSource) -> None:
        self.opened.remove(source)
        await source.close()

    @property
    def rows(self) -> int:
        return sources_present(self.store).get("shop", 0)

    def collapsed_rows(self) -> int:
        (found,) = self.store.query("SELECT count() AS rows FROM measurements FINAL")
        return int(found["rows"])


@asynccontextmanager
async def platform(folder: Path, redis: Redis, config: KafkaSource) -> AsyncIterator[Platform]:
    with EmbeddedClickhouse(folder) as store:
        create_tables(store)
        create_measurements(store)
        found = Platform(store, redis, config)
        try:
            yield found
        finally:
            for each in tuple(found.opened):
                await found.end(each)


async def steps_until(source: ConsumedSource, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, (source.trouble, source.complaints, source.rows)
        await source.step()


def config_of(broker: KafkaBroker, **more: Any) -> KafkaSource:
    return KafkaSource.model_validate({"servers": [broker.address], "topic": TOPIC} | more)


def row(entity: str, ts: int, **metrics: Any) -> dict[str, Any]:
    return {"entity": entity, "ts": ts, **metrics}


def bodies(seed: int, last: int) -> list[bytes]:
    """Write an hour of three services in all forms, with corrections and faults."""
    draw, begin = np.random.default_rng(seed), last - 60 * MINUTE
    found = []
    for at in range(60):
        ts = begin + at * MINUTE
        rows = [
            row(each, ts, request_rate=draw.lognormal(4, 1), p99_ms=draw.uniform(1, 90))
            for each in ENTITIES
        ]
        rows[0]["error_rate"] = (None, draw.random() / 10, 7.5, "many")[draw.integers(4)]
        rows[1]["deploy"] = at % 20 == 0
        if at % 7 == 0:  # two values of one metric in one body, and one without a place in time
            rows.append(row("billing", ts, request_rate=1.0, cpu=draw.random()))
            rows.append(row("billing", ts * 10**9, cpu=0.5))
        columns = {name: [each.get(name) for each in rows] for name in {*rows[0], "cpu"}}
        form = (rows, {"rows": rows}, {"columns": columns})[draw.integers(3)]
        found.append(json.dumps(form).encode())
        if at % 5 == 0:  # a correction of what was said some messages before
            past = row("search", ts - 3 * MINUTE, p99_ms=draw.uniform(1, 90), cpu=draw.random())
            found.append(json.dumps(past).encode())
    found[10:10] = [NO_TELEMETRY]
    return [*found, json.dumps(row("search", last, cpu=0.25)).encode()]


def bits(store: EmbeddedClickhouse, now_ms: int) -> dict[str, bytes]:
    """Give all that is read of the rows: each interval's columns, and the features of each."""
    found = interval_rows(store, METRICS, Scope(0, now_ms // 1000))
    told = {name: np.ascontiguousarray(column).tobytes() for name, column in found.items()}
    features = StoredFeatures(store, lambda _: EntityFacts())
    for entity, each in features.published(ENTITIES, 60.0, now_ms).items():
        assert math.isfinite(each.vector.values["request_rate_mean_1h"])
        told[entity] = np.array([*each.row.values.values(), *each.vector.values.values()]).tobytes()
    return told


async def test_what_comes_through_a_killed_broker_is_what_is_pushed_to_the_bit(
    broker: KafkaBroker, redis: Redis, tmp_path: Path
) -> None:
    last = a_minute()
    sent = bodies(seed=7, last=last)
    # Both are read as of one moment, which is to come: that of which all is known then.
    moment = (last + 40 * MINUTE) * 1000
    broker.create(TOPIC)
    broker.produce(TOPIC, sent[:30])
    async with platform(tmp_path / "kafka", redis, config_of(broker)) as through:
        source = through.new()
        await steps_until(source, lambda: source.rows > 0)
        broker.kill()
        await steps_until(source, lambda: source.breaker.failed_in_row > 3)
        state = state_of_consumed("shop", through.config, source, time.time())
        assert (state.state, state.kind) == ("away", "kafka")
        assert broker.address in state.why
        broker.start()
        broker.produce(TOPIC, sent[30:])
        await steps_until(source, lambda: source.newest == last)
        assert {"schema", "duplicate", "out of bounds"} <= {x.fault for x in source.complaints}
        told = {each["kind"] for each in read_timeline(through.store, 100).events}
        assert {"source_away", "breaker_opened", "source_back", "breaker_closed"} <= told
        by_kafka = bits(through.store, moment)
    with EmbeddedClickhouse(tmp_path / "push") as store:
        create_tables(store)
        create_measurements(store)
        posting = Posting(store, redis)
        posting.config = SourcesConfig(named={"cron": PushSource()})
        for body in (each for each in sent if each != NO_TELEMETRY):
            ready = await check(_read(body), time.time(), MINUTE)
            await posting.intake.add("cron", ready.entries)
        while await posting.drain.step():
            pass
        by_push = bits(store, moment)
    assert by_kafka.keys() == by_push.keys()
    assert by_kafka == by_push


def _read(body: bytes) -> Any:
    reading = steps(body, csv=False)
    while True:
        try:
            next(reading)
        except StopIteration as done:
            return done.value


class CrashError(Exception):
    """A process ends here: what it knows is lost, what it stored is not."""


async def test_who_dies_between_the_note_and_the_rows_doubles_nothing(
    broker: KafkaBroker, redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ends a process before the rows of each read are stored, and behind them, in turns."""
    monkeypatch.setattr(reader, "MOST_MESSAGES", 4)
    begin = a_minute() - 12 * MINUTE
    broker.create(TOPIC, 2)
    for partition, entity in enumerate(("billing", "search")):
        told = [row(entity, begin + at * MINUTE, request_rate=at + 0.1) for at in range(12)]
        broker.produce(TOPIC, [json.dumps(each).encode() for each in told], partition)
    take_in, crashes = SourcePlace.take_in, iter([True, False] * 50)

    async def dying(self: SourcePlace, *args: Any, **named: Any) -> None:
        if not (stored := next(crashes)):
            await take_in(self, *args, **named)
        raise CrashError(stored)

    async with platform(tmp_path / "kafka", redis, config_of(broker)) as through:
        monkeypatch.setattr(SourcePlace, "take_in", dying)
        for _ in range(4):
            source = through.new()
            with pytest.raises(CrashError):
                await steps_until(source, lambda: False)
            await through.end(source)
        monkeypatch.undo()
        source = through.new()
        await steps_until(source, lambda: through.collapsed_rows() == 24)
        for _ in range(3):
            await source.step()
        assert through.collapsed_rows() == 24
        twice = through.store.query(
            "SELECT entity, ts, uniqExact(known) AS times FROM measurements"
            " GROUP BY entity, ts HAVING times > 1"
        )
        assert twice == []


async def test_a_store_that_fails_for_a_while_is_asked_again_with_the_same_rows(
    broker: KafkaBroker, redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.create(TOPIC)
    broker.produce(TOPIC, [json.dumps(row("billing", a_minute(), cpu=0.5)).encode()])
    take_in, left = SourcePlace.take_in, [QueryRejectedError("planted: no space left")] * 3

    async def full(self: SourcePlace, *args: Any, **named: Any) -> None:
        if left:
            raise left.pop()
        await take_in(self, *args, **named)

    monkeypatch.setattr(SourcePlace, "take_in", full)
    async with platform(tmp_path / "kafka", redis, config_of(broker)) as through:
        source = through.new()
        for _ in range(3):
            with pytest.raises(QueryRejectedError):
                await steps_until(source, lambda: False)
        await steps_until(source, lambda: through.rows == 1)


async def test_only_what_is_to_come_is_read_also_behind_a_restart(
    broker: KafkaBroker, redis: Redis, tmp_path: Path
) -> None:
    broker.create(TOPIC)
    async with platform(
        tmp_path / "kafka", redis, config_of(broker, history_days=0, format="csv")
    ) as through:
        source = through.new()
        await source.step()
        await through.end(source)
        assert source.trouble == ""
        text = f"entity,ts,cpu\nbilling,{a_minute()},0.5\n"
        broker.produce(TOPIC, [None, text.encode()])
        again = through.new()
        await steps_until(again, lambda: through.rows == 1)
        # A source that is connected no more is read from the past again when it comes back.
        forget_other_reads(through.store, {"another"})
        anew = KafkaSource.model_validate(through.config.model_dump() | {"history_days": 1})
        through.config = anew
        back = through.new()
        await steps_until(back, lambda: back.rows == 1)
        assert through.rows == 2
        assert len(interval_rows(through.store, ("cpu",), Scope(0, 2**32 - 1))["ts"]) == 1


async def test_a_topic_that_is_not_there_is_refused_until_it_is(
    broker: KafkaBroker, redis: Redis, tmp_path: Path
) -> None:
    async with platform(tmp_path / "kafka", redis, config_of(broker)) as through:
        source = through.new()
        await steps_until(source, lambda: source.refused)
        assert "there is no such topic" in source.trouble
        assert TOPIC in source.trouble
        broker.create(TOPIC)
        broker.produce(TOPIC, [json.dumps(row("billing", a_minute(), cpu=0.5)).encode()])
        await steps_until(source, lambda: through.rows == 1)
        assert source.trouble == ""
