"""A ClickHouse is followed as any source is: while it is away, slow or empty, and after that."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace

import numpy as np
import orjson
import pytest

from config_store.sources import ClickhouseSource, PushSource
from deployments.telemetry.followed import Followed
from features.sources.breaker import FAILURES, Breaker
from features.sources.clickhouse.server import ClickhouseServer as Asked
from features.sources.clickhouse.source import ClickhouseSource as Source
from features.sources.http.connection import Limits
from features.telemetry.intake import Intake
from features.telemetry.source_states import read_states
from observability.timeline.store import read as read_events
from tests.clickhouse_server import ClickhouseServer, running_clickhouse
from tests.deployments.telemetry.running import POSTED, Running, measured_twice, posted
from tests.deployments.telemetry.test_followed import Kept
from tests.waiting import eventually

MINUTE = 60
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
            {"entity": POSTED, "ts": ts, "request_rate": rate, "p99_ms": p99}
            for ts, (rate, p99) in both
        ]
        entries = posted(orjson.dumps({"rows": body}), self.running.now)
        await Intake(self.running.redis).add("push", entries)


async def test_a_table_and_a_push_give_the_same_features_to_the_bit(
    running: Running, server: ClickhouseServer
) -> None:
    twice = Twice(running, server)
    tables = config(server, lateness_seconds=0)
    by_table, by_push = await measured_twice(running, twice.measure, "table", tables=tables)
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


async def test_a_source_that_is_begun_while_the_service_ends_ends_with_it(
    running: Running, server: ClickhouseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or its connections stay open, and nobody knows of it any more."""
    service, applies, go_on = running.service, asyncio.Event(), asyncio.Event()
    load = service._configured._removals.load

    async def slow() -> None:
        await load()
        if service._configured.wanted is not None and service._configured.wanted.named:
            applies.set()
            await go_on.wait()

    monkeypatch.setattr(service._configured._removals, "load", slow)
    await running.activate(tables=config(server, lateness_seconds=0))
    await applies.wait()
    await service.close()
    go_on.set()
    await asyncio.sleep(0.2)
    assert service._running.following == {}
