"""A ClickHouse is followed as any source is: while it is away, slow or empty, and after that."""

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from config_store.shipped import default_document
from config_store.sources import ClickhouseSource, PushSource, SourceConfig, SourcesConfig
from config_store.store import ConfigStore
from deployments.telemetry.demo import Demo
from deployments.telemetry.followed import Followed
from deployments.telemetry.service import TelemetryService
from features.sources.breaker import FAILURES, Breaker
from features.sources.checks import checked
from features.sources.clickhouse.server import ClickhouseServer as Asked
from features.sources.clickhouse.source import ClickhouseSource as Source
from features.sources.http.connection import Limits
from features.sources.posted import Posted, steps
from features.telemetry.by_source import sources_present
from features.telemetry.intake import Intake, packed_entries
from features.telemetry.source_states import read_states
from features.telemetry.tables import create_measurements
from features.vectors.published import PublishedVectors
from features.vectors.vector import GROUPS, matrix_of
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.metrics import Metrics
from observability.schema import create_tables
from observability.timeline.store import read as read_events
from settings.environment import Settings
from tests.clickhouse_server import ClickhouseServer, running_clickhouse
from tests.deployments.telemetry.test_followed import Kept
from tests.deployments.telemetry.test_service import NOW as ANY_TIME
from tests.deployments.telemetry.test_service import eventually
from tests.modules import NO_MODULES

MINUTE = 60
TEN_MINUTES = 600
QUICK = Limits(attempts=2, pause_seconds=0.001)
START = 1_700_000_040
TABLE = (
    "CREATE TABLE minutes (minute DateTime, service String, rps Float64, p99_ms Float64)"
    " ENGINE = MergeTree ORDER BY (service, minute)"
)


def config(server: ClickhouseServer, **fields: object) -> ClickhouseSource:
    query = {
        "kind": "table",
        "table": "minutes",
        "entity": "service",
        "time": "minute",
        "metrics": {
            "request_rate": {"kind": "gauge", "column": "rps", "over": "sum"},
            "p99_ms": {"kind": "gauge", "column": "p99_ms"},
        },
    }
    return ClickhouseSource.model_validate({"url": server.url, "query": query} | fields)


def insert(server: ClickhouseServer, since: int, until: int) -> None:
    """Insert what a service measured of the minutes that begin in [since, until)."""
    server.run(
        f"INSERT INTO minutes SELECT toDateTime({since} + number * 60), 'shop', number / 7, number"  # noqa: S608 - our own numbers
        f" FROM numbers({(until - since) // MINUTE})"
    )


@pytest.fixture(scope="module")
def started() -> Iterator[ClickhouseServer]:
    with running_clickhouse(TABLE) as server:
        yield server


@pytest.fixture
def server(started: ClickhouseServer) -> ClickhouseServer:
    started.run("TRUNCATE TABLE minutes")
    return started


class World:
    """A source that is followed by a clock of the test's."""

    def __init__(self, server: ClickhouseServer, now: float, lateness: int = 10) -> None:
        self.now = now
        self.kept = Kept()
        self.asked = Asked("tables", server.url, random=lambda: 0.5, limits=QUICK)
        source = Source(
            "tables",
            self.asked,
            config(server).query,
            lambda: self.now,
            cadence_seconds=MINUTE,
            lateness_seconds=lateness,
        )
        self.breaker = Breaker(lambda: self.now, lambda: 1.0)
        self.followed = Followed(
            "tables", source, self.kept, self.breaker, history_days=1, wall=lambda: self.now
        )

    async def work(self) -> None:
        while await self.followed.step():
            continue

    async def go_to(self, moment: float) -> None:
        """Let time pass, and work as often as the platform would at least."""
        while self.now < moment:
            self.now = min(self.now + 15, moment)
            await self.work()

    def minutes(self) -> list[int]:
        return [(ts - START) // MINUTE for ts in sorted(self.kept.ts)]


@pytest.fixture
async def world(server: ClickhouseServer) -> AsyncIterator[World]:
    insert(server, START, START + 30 * MINUTE)
    world = World(server, START + 20 * MINUTE + 15)
    await world.work()
    yield world
    await world.asked.close()


async def test_the_past_comes_in_once_and_then_each_minute(world: World) -> None:
    assert world.minutes() == [*range(20)]
    assert world.followed.past_share == 1.0
    await world.go_to(START + 25 * MINUTE + 15)
    assert world.minutes() == [*range(25)]
    assert world.kept.newest_first[0]
    # Rows of minutes to come are there from the beginning.
    assert {each.fault for each in world.followed.complaints} == {"clock skew"}


@pytest.mark.parametrize("outage", ["stopped", "slow"])
async def test_an_outage_opens_the_breaker_and_leaves_no_gap(
    server: ClickhouseServer, world: World, outage: str
) -> None:
    if outage == "stopped":
        server.end()
    else:
        server.freeze()
        world.asked._connection._limits = replace(QUICK, answer_seconds=0.3)
    try:
        for _ in range(FAILURES):
            world.now += MINUTE
            assert not await world.followed.step()
        assert str(world.breaker.state) == "open"
        assert "did not answer" in world.followed.trouble
        assert world.kept.failures[-1][1] == "open"
        world.now += 1
        assert not await world.followed.step()  # nobody is asked now
        assert len(world.kept.failures) == FAILURES
    finally:
        world.asked._connection._limits = QUICK
        server.start() if outage == "stopped" else server.thaw()
    await world.go_to(START + 28 * MINUTE + 15)
    assert str(world.breaker.state) == "closed"
    assert world.followed.trouble == ""
    assert world.minutes() == [*range(28)]


async def test_a_table_that_was_emptied_and_filled_again_leaves_no_gap(
    server: ClickhouseServer, world: World
) -> None:
    server.run("TRUNCATE TABLE minutes")
    await world.go_to(START + 28 * MINUTE + 15)
    assert world.minutes() == [*range(20)]
    assert world.followed.trouble == ""
    insert(server, START, START + 30 * MINUTE)
    await world.work()
    assert world.minutes() == [*range(28)]


@pytest.mark.parametrize("empty", [True, False])
async def test_rows_that_are_inserted_minutes_later_are_waited_for(
    server: ClickhouseServer, empty: bool
) -> None:
    """Also where nothing was there at first."""
    insert(server, START, START + (0 if empty else 10) * MINUTE)
    world = World(server, START + 16 * MINUTE, lateness=300)
    await world.work()
    assert world.minutes() == ([] if empty else [*range(10)])
    insert(server, START + (0 if empty else 10) * MINUTE, START + 15 * MINUTE)
    await world.go_to(START + 20 * MINUTE + 5)
    assert world.minutes() == [*range(15)]
    await world.asked.close()


class Running:
    """The whole service over a store of its own, with a clock that goes when told."""

    def __init__(self, store: EmbeddedClickhouse, redis: Redis) -> None:
        self.store, self.redis = store, redis
        # What is posted is known by the clock of Redis, which is behind this one: no step may end
        # between what was measured last and now, or windows had the one row and not the other.
        self.now = (time.time() // TEN_MINUTES + 1) * TEN_MINUTES + 7 * MINUTE + 5
        self.metrics = Metrics(CollectorRegistry())
        demo = Demo(store, Settings())
        self.service = TelemetryService(
            store, redis, self.metrics, demo, NO_MODULES, wall=self.wall
        )

    def wall(self) -> float:
        return self.now

    async def activate(self, **named: SourceConfig) -> None:
        document = default_document().model_copy(
            update={"sources": SourcesConfig.model_validate({"named": named})}
        )
        store = ConfigStore(self.redis)
        await store.activate(await store.publish(document, "a test", "sources", ANY_TIME))

    def present(self) -> dict[str, int]:
        return sources_present(self.store)

    async def vector(self, entity: str) -> np.ndarray:
        """Give the features that were published last of an entity."""
        (found,) = await PublishedVectors(self.redis).read([entity])
        assert found is not None
        layout, vector = found
        return matrix_of(layout, [vector])[0, -len(layout.names) :]

    async def newest(self, entity: str) -> float:
        """Tell which interval they are of."""
        (found,) = await PublishedVectors(self.redis).read([entity])
        if found is None:
            return 0.0
        layout, vector = found
        return float(matrix_of(layout, [vector])[0, 1 + GROUPS.index("Live")])


@pytest.fixture
async def running(
    redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Running]:
    monkeypatch.setenv("BALLAST_HOME", str(tmp_path))
    monkeypatch.setenv("BALLAST_HISTORY_DAYS", "1")
    with EmbeddedClickhouse(tmp_path / "history") as store:
        create_tables(store)
        create_measurements(store)
        running = Running(store, redis)
        await running.service.start()
        yield running
        await running.service.close()
        await running.metrics.loops.stop()


def posted(body: bytes, now: float) -> list[bytes]:
    """Read a body as a gateway does."""
    reading = steps(body, csv=False)
    while True:
        try:
            next(reading)
        except StopIteration as done:
            found: Posted = done.value
            return packed_entries(checked(found.rows, now=now, cadence_seconds=MINUTE))


class Twice:
    """The same measurements, inserted into a table and posted."""

    def __init__(self, running: Running, server: ClickhouseServer) -> None:
        self.running, self.server = running, server

    async def measure(self, minutes: Sequence[int]) -> None:
        values = [(ts % 97 / 7, 10 + ts % 89 / 3) for ts in minutes]
        both = list(zip(minutes, values, strict=True))
        rows = ", ".join(f"({ts}, 'table', {rate!r}, {p99!r})" for ts, (rate, p99) in both)
        self.server.run(f"INSERT INTO minutes VALUES {rows}")  # noqa: S608 - our own numbers
        body = [
            {"entity": "push", "ts": ts, "request_rate": rate, "p99_ms": p99}
            for ts, (rate, p99) in both
        ]
        entries = posted(orjson.dumps({"rows": body}), self.running.now)
        await Intake(self.running.redis).add("push", entries)


async def test_a_table_and_a_push_give_the_same_features_to_the_bit(
    running: Running, server: ClickhouseServer
) -> None:
    twice = Twice(running, server)
    last = int(running.now) // MINUTE * MINUTE - MINUTE
    await twice.measure([last - MINUTE * back for back in range(90, -1, -1)])
    await running.activate(tables=config(server, lateness_seconds=0), push=PushSource())
    await eventually(lambda: running.present() == {"tables": 91, "push": 91})
    # Windows are as of whole steps: all of it is known by the next one of each.
    running.now += 2 * 3600
    await twice.measure([last + 2 * 3600])

    async def are_published() -> bool:
        newest = [await running.newest(entity) for entity in ("table", "push")]
        return newest == [last + 2 * 3600] * 2

    await eventually(are_published)
    by_table, by_push = await running.vector("table"), await running.vector("push")
    assert np.isfinite(by_table).sum() > 10
    assert by_table.tobytes() == by_push.tobytes()


async def test_it_is_paused_and_removed_without_a_restart(
    running: Running, server: ClickhouseServer
) -> None:
    now = int(running.now) // MINUTE * MINUTE
    insert(server, now - 30 * MINUTE, now)
    await running.activate(tables=config(server, lateness_seconds=0))
    await eventually(lambda: running.present() == {"tables": 30})

    async def is_live() -> bool:
        states = await read_states(running.redis)
        return states is not None and [each.state for each in states.states] == ["live"]

    await eventually(is_live)
    await running.activate(tables=config(server, lateness_seconds=0, paused=True))
    await eventually(lambda: "tables" not in running.service._running.following)
    server.asked()
    insert(server, now, now + MINUTE)
    running.now += MINUTE
    (only,) = server.asked()
    assert "INSERT" in only
    await running.activate(tables=config(server, lateness_seconds=0))
    await eventually(lambda: running.present() == {"tables": 31})
    await running.activate(push=PushSource())
    await eventually(lambda: read_events(running.store, 10, kinds=["source_removed"]).events)
    assert running.present() == {"tables": 31}, "what it gave is kept"
    assert server.run("SELECT count() FROM minutes").strip() == "31"
