"""A corrected mapping has a past of its own, and nothing of it is known earlier than it was."""

import math
from typing import Any

import numpy as np
import pytest
from redis.asyncio import Redis

from config_store.sources import (
    CandlesSource,
    ClickhouseSource,
    LogsSource,
    PostedLogsSource,
    PrometheusSource,
    RemoteWriteSource,
)
from deployments.telemetry.followed import Followed
from deployments.telemetry.place import SourcePlace
from deployments.telemetry.remapping import Remapping
from features.sources.breaker import Breaker
from features.sources.rules import Gauge, Mapping, Selector
from features.sources.source import Gathered
from features.telemetry.columns import Floats, Telemetry
from features.telemetry.mappings import WHOLE, ended_columns
from features.telemetry.seen import entities
from features.telemetry.stored import between, newest_values, timed_metric
from features.telemetry.tables import append
from observability.clickhouse.embedded import EmbeddedClickhouse
from tests.deployments.telemetry.posting import MINUTE, Posting, a_minute, measured_of
from tests.deployments.telemetry.test_followed import Measured

HOUR = 3600
SQL = "SELECT * FROM t WHERE time >= {from:DateTime64(3)} AND time < {to:DateTime64(3)}"
CPU_AND_RATE = ["cpu", "request_rate"]


def mapping(entity: str = "job", **series: str) -> Mapping:
    metrics = {name: Gauge(of=Selector(name=each)) for name, each in series.items()}
    return Mapping.model_validate({"entity": entity, "metrics": metrics})


NUMBERS = {"right": 0.25, "wrong": 0.75, "same": 0.5}


class Server(Measured):
    """A Prometheus of which each mapped metric gives a number of its series."""

    def __init__(self, begins: int, mapped: Mapping, entity: str) -> None:
        super().__init__(begins)
        self._mapped = mapped
        self._entity = entity

    async def range(self, start: int, stop: int) -> Gathered:
        found = (await super().range(start, stop)).telemetry
        columns = found.columns() | {"entity": np.full(len(found), self._entity)}
        for name, rule in self._mapped.metrics.items():
            assert isinstance(rule, Gauge)
            columns[name] = np.full(len(found), NUMBERS[rule.of.name])
        return Gathered(Telemetry(**columns))


class World:
    """A store, a clock, and a server whose series can be mapped in several ways."""

    def __init__(self, store: EmbeddedClickhouse, posting: Posting) -> None:
        self.store = store
        self.posting = posting
        self.begins = a_minute() - 3 * HOUR

    async def follow(self, mapped: Mapping, begins: int | None = None, entity: str = "shop") -> int:
        """Follow until there is no more to do, from a start on; count what was asked for."""
        config = PrometheusSource(url="http://prometheus:9090", mapping=mapped)
        source = Server(self.begins if begins is None else begins, mapped, entity)
        wall, features = self.posting.wall, self.posting.features
        place = SourcePlace("prom", MINUTE, self.store, features, wall, Remapping("prom", config))
        breaker = Breaker(lambda: 0.0, lambda: 1.0)
        followed = Followed("prom", source, place, breaker, history_days=1, wall=wall)
        while await followed.step():
            continue
        return len(source.asked)

    def numbers(self, name: str, known_until_ms: int | None = None) -> Floats:
        until = int(self.posting.wall()) + 1
        return timed_metric(
            self.store, "shop", name, self.begins, until, known_until_ms=known_until_ms
        )[1]


@pytest.fixture
async def world(measured: EmbeddedClickhouse, redis: Redis) -> World:
    return World(measured, Posting(measured, redis))


async def test_the_past_is_fetched_anew_and_what_is_mapped_no_longer_is_silent(
    world: World,
) -> None:
    await world.follow(mapping(cpu="wrong", memory="same", load="wrong"))
    before_ms = int(world.posting.wall() * 1000)
    count = len(world.numbers("cpu"))
    assert count > 180
    world.posting.later = 1.0
    corrected = mapping(cpu="right", memory="same")
    # The server has forgotten the first hour: of that the memory, whose rule is as it was, stays.
    assert await world.follow(corrected, world.begins + HOUR) > 1
    assert set(world.numbers("cpu")[60:]) == {0.25}
    assert np.isnan(world.numbers("cpu")[:60]).all()
    assert set(world.numbers("memory")) == {0.5}
    assert np.isnan(world.numbers("load")).all()
    live = newest_values(world.store, ["shop"], int(world.posting.wall()))["shop"]
    assert (live.values["cpu"], math.isnan(live.values["queue_depth"])) == (0.25, True)
    # Whoever learns as of then reads what was known then.
    for name, number in (("cpu", 0.75), ("load", 0.75), ("memory", 0.5)):
        then = world.numbers(name, before_ms)
        assert len(then) == count
        assert set(then) == {number}
    # It is done once: a restart goes on where it was.
    assert await world.follow(corrected, world.begins + HOUR) <= 1


async def test_a_corrected_label_ends_the_entities_of_the_other_one(world: World) -> None:
    await world.follow(mapping(cpu="right"), entity="wrong-name")
    world.posting.later = 1.0
    await world.follow(mapping("service", cpu="right"))
    assert [each.entity for each in entities(world.store, world.begins)] == ["shop"]
    rows = between(world.store, world.begins, int(world.posting.wall()))
    assert set(rows.entity) == {"shop"}
    assert set(rows.cpu) == {0.25}
    # Nothing says any more that it was measured, where gateways look.
    withdrawn: Any = await world.posting.features._redis.get("ballast:features:wrong-name")
    assert b'"values":{}' in withdrawn


async def test_of_what_is_sent_only_metrics_end_that_are_gone(
    world: World, measured: EmbeddedClickhouse
) -> None:
    row = measured_of("shop", ts=a_minute()).telemetry.columns()
    row |= {"cpu": np.array([0.75]), "load": np.array([0.75])}
    append(measured, Telemetry(**row), source="edge", known_ms=1)
    for mapped, cpu, load in (
        (mapping(cpu="wrong", load="wrong"), 0.75, 0.75),
        (mapping(cpu="right"), 0.75, math.nan),
    ):
        config = RemoteWriteSource(mapping=mapped)
        remapping = Remapping("edge", config)
        wall, features = world.posting.wall, world.posting.features
        place = SourcePlace("edge", MINUTE, measured, features, wall, remapping)
        stretch = await place.stretch()
        # No past can be asked for, and the evaluation goes on where it was.
        assert stretch.newest == a_minute()
        found = between(measured, a_minute(), a_minute() + 1)
        assert found.cpu.tolist() == [cpu]
        assert found.load.tolist() == pytest.approx([load], nan_ok=True)


async def test_corrected_rules_of_logs_read_the_files_again(
    world: World, measured: EmbeddedClickhouse
) -> None:
    forgotten: list[str] = []
    lines: dict[str, Any] = {"paths": ["/a"], "entity_name": "shop", "latency": {"field": "ms"}}
    failed = {"kind": "error", "where": [{"field": "code", "equals": "5"}]}

    async def begin(**changed: Any) -> list[str]:
        config = LogsSource.model_validate({"lines": lines | changed})

        async def forget() -> None:
            forgotten.append("once more")

        place = SourcePlace(
            "logs",
            MINUTE,
            measured,
            world.posting.features,
            world.posting.wall,
            Remapping("logs", config),
            forget,
        )
        await place.stretch()
        world.posting.later += 1.0
        return [each.column for each in ended_columns(measured) if each.source == "logs"]

    assert await begin() == []
    assert await begin(paths=["/b"]) == []
    assert forgotten == []
    assert await begin(patterns=[failed]) == ["deploy", "error_rate", "request_rate"]
    assert await begin(patterns=[failed]) == ["deploy", "error_rate", "request_rate"]
    assert len(forgotten) == 1
    assert "*" in await begin(entity_name="store", patterns=[failed])
    assert len(forgotten) == 2


def test_of_posted_lines_only_metrics_end_that_are_gone(measured: EmbeddedClickhouse) -> None:
    error = {"kind": "error", "where": [{"field": "code", "equals": "5"}]}
    deploy = {"kind": "deploy", "where": [{"field": "message", "equals": "new"}]}
    lines = {"entity_name": "shop", "latency": {"field": "ms"}, "patterns": [error, deploy]}

    def ended(at: int, **changed: Any) -> set[str]:
        config = PostedLogsSource.model_validate({"lines": lines | changed})
        remapping = Remapping("posted", config)
        assert not remapping.has_a_past
        remapping.apply(measured, at)
        return {each.column for each in ended_columns(measured) if each.source == "posted"}

    assert ended(1000) == set()
    assert ended(2000, entity_name="store", latency={"field": "us", "unit": "us"}) == set()
    assert ended(3000, patterns=[error]) == {"deploy"}
    latencies = {"p50_ms", "p95_ms", "p99_ms", "p999_ms", "exemplars"}
    assert ended(4000, latency=None, patterns=[]) == {"deploy", "error_rate"} | latencies


def clickhouse(**query: Any) -> ClickhouseSource:
    table = {"kind": "table", "table": "requests", "entity": "service", "time": "at"}
    metrics = {"cpu": {"kind": "gauge", "column": "cpu"}, "request_rate": {"kind": "rows"}}
    return ClickhouseSource.model_validate(
        {"url": "http://tables:8123", "query": table | {"metrics": metrics} | query}
    )


@pytest.mark.parametrize(
    ("changed", "ended"),
    [
        ({}, None),
        ({"metrics": {"cpu": {"kind": "gauge", "column": "cpu", "times": 0.01}}}, CPU_AND_RATE),
        ({"where": [{"column": "env", "value": "prod"}]}, [WHOLE]),
        ({"kind": "sql", "sql": SQL, "metrics": {"cpu": {"column": "cpu"}}}, [WHOLE]),
    ],
)
def test_corrected_rules_of_tables_end_what_they_changed(
    measured: EmbeddedClickhouse, changed: dict[str, Any], ended: list[str] | None
) -> None:
    Remapping("tables", clickhouse()).apply(measured, 1_000)
    query = {"kind": "sql"} | changed if "sql" in changed else changed
    if "sql" in changed:
        after = ClickhouseSource.model_validate({"url": "http://tables:8123", "query": query})
    else:
        after = clickhouse(**changed)
    since, whole = Remapping("tables", after).apply(measured, 2_000)
    assert (since, whole) == ((0, False) if ended is None else (2_000, ended == [WHOLE]))
    found = measured.query("SELECT ended FROM measurement_mappings WHERE source = 'tables'")
    assert [row["ended"].split(",") for row in found if row["ended"]] == (
        [] if ended is None else [ended]
    )


@pytest.mark.parametrize(
    ("changed", "ended"),
    [
        ({}, []),
        ({"metrics": {"request_rate": {"kind": "per_second", "field": "trades"}}}, "request_rate"),
        ({"names": {"trades": "n", "time": "t"}}, WHOLE),
        ({"asked": {"start": "since"}}, WHOLE),
    ],
)
def test_corrected_rules_of_candles_end_what_they_changed(
    measured: EmbeddedClickhouse, changed: dict[str, Any], ended: list[str] | str
) -> None:
    mapping = {
        "names": {"trades": "n"},
        "metrics": {"request_rate": {"kind": "per_second", "field": "volume"}},
    }

    def market(**more: Any) -> CandlesSource:
        fields = {"url": "http://market:8080", "symbols": ["A"], "mapping": mapping | more}
        return CandlesSource.model_validate(fields)

    Remapping("market", market()).apply(measured, 1_000)
    since, whole = Remapping("market", market(**changed)).apply(measured, 2_000)
    assert (since, whole) == ((2_000, ended == WHOLE) if ended else (0, False))
    found = measured.query("SELECT ended FROM measurement_mappings WHERE source = 'market'")
    assert [row["ended"] for row in found if row["ended"]] == ([ended] if ended else [])
