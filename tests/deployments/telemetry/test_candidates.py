"""A changed mapping is followed once it is within bounds; until then the last good one goes on."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from redis.asyncio import Redis

from config_store.sources import ClickhouseSource
from deployments.telemetry.remapping import mapping_id
from features.telemetry.mappings import mapping_in_force
from features.telemetry.source_states import SourceState, read_states
from features.telemetry.stored import between
from features.telemetry.tables import create_measurements
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.schema import create_tables
from observability.timeline.store import read as read_events
from tests.clickhouse_server import ClickhouseServer, running_clickhouse
from tests.deployments.telemetry.running import Running
from tests.waiting import eventually

MINUTE, MINUTES = 60, 70
TABLE = (
    "CREATE TABLE minutes (minute DateTime, service String, host String, rps Float64,"
    " p99_ms Float64, broken Nullable(Float64)) ENGINE = MergeTree ORDER BY (service, minute)"
)

RATE: dict[str, Any] = {"kind": "gauge", "column": "rps", "over": "sum"}
LATENCY: dict[str, Any] = {"kind": "gauge", "column": "p99_ms"}


@pytest.fixture(scope="module")
def started() -> Iterator[ClickhouseServer]:
    with running_clickhouse(TABLE) as server:
        yield server


class World:
    """A service with a source, which a test maps anew and starts anew."""

    def __init__(self, server: ClickhouseServer, store: EmbeddedClickhouse, redis: Redis) -> None:
        self.server, self.store, self.redis = server, store, redis
        self.running = Running(store, redis)
        self.last = int(self.running.now) // MINUTE * MINUTE

    def config(self, entity: str = "service", **fields: Any) -> ClickhouseSource:
        metrics = {"request_rate": RATE, "p99_ms": LATENCY} | fields.pop("metrics", {})
        query = {"kind": "table", "table": "minutes", "entity": entity, "time": "minute"}
        return ClickhouseSource.model_validate(
            {"url": self.server.url, "lateness_seconds": 0, "query": query | {"metrics": metrics}}
            | fields
        )

    def insert(self, since: int, until: int) -> None:
        self.server.run(
            "INSERT INTO minutes SELECT"  # noqa: S608 - our own numbers
            f" toDateTime({since} + intDiv(number, 3) * 60), concat('shop-', toString(number % 3)),"
            " concat('host-', toString(number)), 5 + number % 7, 40 + number % 11, NULL"
            f" FROM numbers({3 * (until - since) // MINUTE})"
        )

    async def begin(self) -> None:
        self.insert(self.last - MINUTES * MINUTE, self.last)
        await self.running.service.start()
        await self.running.activate(tables=self.config())
        await eventually(lambda: self.running.present() == {"tables": 3 * MINUTES})

    async def restart(self) -> None:
        now = self.running.now
        await self.close()
        self.running = Running(self.store, self.redis)
        self.running.now = now
        await self.running.service.start()

    async def close(self) -> None:
        await self.running.end()

    async def state(self) -> SourceState | None:
        told = await read_states(self.redis)
        return None if told is None else {each.name: each for each in told.states}.get("tables")

    async def held_back(self) -> SourceState:
        """Wait until a mapping was refused."""
        found: list[SourceState] = []

        async def shown() -> bool:
            state = await self.state()
            if state is None or state.held_back is None or not state.held_back.refused:
                return False
            found.append(state)
            return True

        await eventually(shown)
        return found[-1]

    def events(self, kind: Any) -> list[str]:
        return [str(each["summary"]) for each in read_events(self.store, 10, kinds=[kind]).events]

    def latencies(self, minutes: int = MINUTES) -> np.ndarray:
        rows = between(self.store, self.last - minutes * MINUTE, int(self.running.now))
        return rows.p99_ms[np.isfinite(rows.p99_ms)]

    def is_slow(self, least: float) -> bool:
        """Tell whether all latencies that are known are at least so long."""
        found = self.latencies()
        return len(found) > 0 and bool(found.min() >= least)

    def in_force(self) -> str:
        known = mapping_in_force(self.store, "tables")
        assert known is not None
        return known.mapping


@pytest.fixture
async def world(
    started: ClickhouseServer, redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    monkeypatch.setenv("BALLAST_HOME", str(tmp_path))
    monkeypatch.setenv("BALLAST_HISTORY_DAYS", "1")
    started.run("TRUNCATE TABLE minutes")
    with EmbeddedClickhouse(tmp_path / "history") as store:
        create_tables(store)
        create_measurements(store)
        world = World(started, store, redis)
        await world.begin()
        yield world
        await world.close()


async def test_a_unit_that_is_off_is_held_back_over_a_restart_until_it_is_forced(
    world: World,
) -> None:
    good = world.in_force()
    wrong = world.config(metrics={"p99_ms": LATENCY | {"times": 1000.0}})
    await world.running.activate(tables=wrong)
    state = await world.held_back()
    assert state.state == "held back"
    assert state.held_back is not None
    assert state.held_back.id == mapping_id(wrong)
    assert "quantile 0.5 of p99_ms: 45 before, 4.5e+04 now" in state.why
    # The last good one goes on: what is measured next is measured by it.
    world.insert(world.last, world.last + MINUTE)
    world.running.now += MINUTE
    await eventually(lambda: world.running.present() == {"tables": 3 * MINUTES + 3})
    assert world.latencies().max() <= 50.0
    assert world.in_force() == good

    await eventually(lambda: world.events("publication_refused"))
    await world.restart()
    await eventually(lambda: "tables" in world.running.service._running.following)
    again = await world.held_back()
    assert again.held_back == state.held_back
    assert len(world.events("publication_refused")) == 1
    assert world.in_force() == good

    # What is forced is this mapping, and no other.
    other = world.config(metrics={"p99_ms": LATENCY | {"times": 999.0}}, forced=mapping_id(wrong))
    await world.running.activate(tables=other)
    await eventually(lambda: len(world.events("publication_refused")) == 2)
    world.running.now += 1  # what is known from now on is the new mapping's
    await world.running.activate(tables=wrong.model_copy(update={"forced": mapping_id(wrong)}))
    await eventually(lambda: world.is_slow(40_000.0))
    (accepted,) = world.events("publication_accepted")
    assert accepted.endswith("it is forced by the configuration")

    async def is_live() -> bool:
        state = await world.state()
        return state is not None and (state.state, state.held_back) == ("live", None)

    await eventually(is_live)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda world: world.config("host"), "entities that were there: 3 before, 0 now"),
        (
            lambda world: world.config(metrics={"p99_ms": LATENCY | {"column": "broken"}}),
            "share of p99_ms that is missing: 0 before, 1 now",
        ),
        (
            lambda world: world.config(metrics={"p99_ms": LATENCY | {"column": "gone"}}),
            "the source refuses what it asks",
        ),
    ],
)
async def test_what_would_take_away_what_is_there_is_held_back(
    world: World, change: Callable[[World], ClickhouseSource], said: str
) -> None:
    good, before = world.in_force(), world.latencies()
    await world.running.activate(tables=change(world))
    state = await world.held_back()
    assert said in state.why
    await eventually(lambda: world.events("publication_refused"))
    (refused,) = world.events("publication_refused")
    assert said in refused
    assert world.in_force() == good
    assert world.latencies().tolist() == before.tolist()
    # Back to the one that is in force: nothing is held back, and nothing is to be said.
    await world.running.activate(tables=world.config())

    async def is_live() -> bool:
        state = await world.state()
        return state is not None and (state.state, state.held_back) == ("live", None)

    await eventually(is_live)
    assert world.events("publication_accepted") == []


async def test_a_change_within_bounds_is_followed_by_itself(world: World) -> None:
    world.running.now += 1  # what is known from now on is the new mapping's
    await world.running.activate(tables=world.config(metrics={"p99_ms": LATENCY | {"times": 1.5}}))
    await eventually(lambda: world.is_slow(60.0))
    (accepted,) = world.events("publication_accepted")
    assert accepted.endswith("figures are within their bounds")
    assert world.events("publication_refused") == []


async def test_a_name_that_is_given_anew_has_nothing_to_be_compared_with(world: World) -> None:
    await world.running.activate()
    await eventually(lambda: "tables" not in world.running.service._running.following)
    world.running.now += 61
    await eventually(lambda: world.running.service._configured._removals.is_new("tables"))
    wrong = world.config(metrics={"p99_ms": LATENCY | {"times": 1000.0}})
    await world.running.activate(tables=wrong)
    await eventually(lambda: world.is_slow(40_000.0))
    assert world.events("publication_refused") == []
