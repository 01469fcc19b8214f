"""Telemetry comes in by what the configuration says, into a real store, with a real Redis."""

import threading
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from config_store.document import FeatureConfig
from config_store.shipped import default_document
from config_store.sources import (
    EntityFacts,
    LogsSource,
    PushSource,
    RemoteWriteSource,
    SourcesConfig,
)
from deployments.telemetry import place, removals
from deployments.telemetry.demo import Demo
from deployments.telemetry.entity_limit import EntityLimit
from deployments.telemetry.followed import Stretch
from deployments.telemetry.service import TelemetryService
from features.functions.kept import FunctionModules
from features.sources.logs.stream import LineStream
from features.sources.remote_write.stream import SampleStream
from features.sources.source import Gathered
from features.store import key
from features.telemetry import tables
from features.telemetry.by_source import sources_present
from features.telemetry.columns import Telemetry
from features.telemetry.intake import Intake, packed_entries
from features.telemetry.source_states import read_states
from features.telemetry.tables import create_measurements
from features.vectors.published import PublishedVectors
from features.vectors.reading import Reading
from features.vectors.vector import matrix_of
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.errors import QueryRejectedError
from observability.metrics import Metrics
from observability.schema import create_tables
from observability.timeline.store import read
from settings.environment import Settings
from tests.deploying import deployed
from tests.deployments.telemetry.test_followed import rows
from tests.waiting import eventually

NOW = datetime(2026, 3, 2, tzinfo=UTC)
MINUTE = 60


class Service:
    """The service over a store in a folder, and what an operator and a client do."""

    def __init__(self, store: EmbeddedClickhouse, redis: Redis, settings: Settings) -> None:
        modules = FunctionModules(settings.functions_folder, settings.paths.functions)
        self.store = store
        self.redis = redis
        self.metrics = Metrics(CollectorRegistry())
        self.service = TelemetryService(
            store,
            redis,
            self.metrics,
            Demo(store, settings),
            modules,
            keep_days=settings.measurement_days,
        )

    @property
    def dead_letters(self) -> float | None:
        return self.metrics.registry.get_sample_value("telemetry_dead_letters_total")

    async def close(self) -> None:
        await self.service.close()
        await self.metrics.loops.stop()

    async def activate(self, sources: SourcesConfig, features: FeatureConfig | None = None) -> None:
        changed = {"sources": sources} | ({} if features is None else {"features": features})
        await deployed(self.redis, default_document().model_copy(update=changed))

    async def post(self, entity: str, ts: int, rate: float, source: str = "cron") -> None:
        columns = rows(np.array([ts])).columns()
        columns["entity"] = np.array([entity])
        columns["request_rate"] = np.array([rate])
        await Intake(self.redis).add(source, packed_entries(Gathered(Telemetry(**columns))))

    def present(self) -> dict[str, int]:
        return sources_present(self.store)

    async def states(self) -> dict[str, str]:
        published = await read_states(self.redis)
        return {} if published is None else {each.name: each.state for each in published.states}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("BALLAST_HOME", str(tmp_path))
    monkeypatch.setenv("BALLAST_HISTORY_DAYS", "1")
    monkeypatch.setenv("BALLAST_FUNCTIONS_FOLDER", str(tmp_path / "own"))
    (tmp_path / "own").mkdir(mode=0o755)
    return Settings()


@pytest_asyncio.fixture
async def begin(
    redis: Redis, tmp_path: Path, settings: Settings
) -> AsyncIterator[Callable[[], Any]]:
    """Begin a service, as often as a test likes: one at a time."""
    running: list[Service] = []
    with EmbeddedClickhouse(tmp_path / "history") as store:
        create_tables(store)
        create_measurements(store)

        async def start() -> Service:
            if running:
                await running.pop().close()
            service = Service(store, redis, settings)
            running.append(service)
            await service.service.start()
            return service

        yield start
        if running:
            await running.pop().close()


PUSH = SourcesConfig(named={"cron": PushSource()})


async def test_without_a_source_the_demo_is_followed_with_all_its_past(
    begin: Callable[[], Any], redis: Redis
) -> None:
    running = await begin()
    await running.activate(SourcesConfig())
    assert await running.service.filled() > 1_440
    assert running.present().keys() == {"demo"}
    await eventually(lambda: redis.exists(key(redis, "order-gateway")))

    async def shown() -> bool:
        return bool(await running.states() == {"demo": "demo"})

    await eventually(shown)
    assert running.service.facts_of("order-gateway").exchange is not None
    assert running.service.facts_of("somebody's").exchange is None


async def test_the_first_source_takes_the_demo_away(begin: Callable[[], Any], redis: Redis) -> None:
    running = await begin()
    await running.activate(SourcesConfig())
    await running.service.filled()
    await running.activate(PUSH)
    await eventually(lambda: running.present() == {})
    await eventually(lambda: read(running.store, 10, kinds=["demo_removed"]).events)
    withdrawn: Any = await redis.get(key(redis, "order-gateway"))
    assert b'"values":{}' in withdrawn
    assert await PublishedVectors(redis).read(["order-gateway"]) == [None]
    minute = int(time.time()) // MINUTE * MINUTE - MINUTE
    await running.post("billing", minute, 12.0)
    await eventually(lambda: running.present() == {"cron": 1})
    await eventually(lambda: redis.exists(key(redis, "billing")))
    ((layout, vector),) = await PublishedVectors(redis).read(["billing"])  # type: ignore[misc] # it is there
    numbers = matrix_of(layout, [vector])[0, -len(layout.names) :]
    assert numbers[layout.names.index("request_rate")] == 12.0
    assert numbers[layout.names.index("request_rate_mean_1h")] == 12.0
    (row,) = (await running.service.features.latest(["billing"])).values()
    assert (row.values["request_rate"], row.event_time) == (12.0, minute)
    # Nobody makes anything up after that, also not where the source is removed again.
    await running.activate(SourcesConfig())
    again = await begin()
    await again.service.filled()
    assert again.present() == {"cron": 1}


async def test_what_was_made_up_is_taken_back_whatever_fails_on_the_way(
    begin: Callable[[], Any], redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis fails once, and an insert of the demo's is slow: nothing of it stays behind."""
    running = await begin()
    await running.activate(SourcesConfig())
    await running.service.filled()
    withdraw, failures = running.service.features.withdraw, [ConnectionError("planted")]

    async def odd(entities: Any) -> None:
        if failures:
            raise failures.pop()
        await withdraw(entities)

    monkeypatch.setattr(running.service.features, "withdraw", odd)
    begun, append = threading.Event(), tables.append

    def slow(*args: Any, **named: Any) -> None:
        begun.set()
        time.sleep(0.5)  # it is the insert that takes as long
        append(*args, **named)

    monkeypatch.setattr(place, "append", slow)
    demo = running.service._running.following["demo"].followed
    demo.stretch = Stretch(demo.stretch.oldest, demo.stretch.newest - 60)
    await eventually(begun.is_set)
    await running.activate(PUSH)
    await eventually(lambda: not running.service.made_up)
    assert running.present() == {}
    withdrawn: Any = await redis.get(key(redis, "order-gateway"))
    assert b'"values":{}' in withdrawn
    assert read(running.store, 10, kinds=["demo_removed"]).events


async def test_a_failing_store_loses_nothing_that_was_posted(
    begin: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    append, failures = tables.append, [KeyError("planted"), KeyError("planted")]

    def odd(*args: Any, **named: Any) -> None:
        if failures:
            raise failures.pop()
        append(*args, **named)

    monkeypatch.setattr(place, "append", odd)
    running = await begin()
    await running.activate(PUSH)
    minute = int(time.time()) // MINUTE * MINUTE - 10 * MINUTE
    for at in range(5):
        await running.post("billing", minute + at * MINUTE, float(at))
    await eventually(lambda: running.present() == {"cron": 5})
    assert running.metrics.loops.failures()["store posted telemetry"] == 2

    async def empty() -> bool:
        return not await Intake(running.redis).read(10)

    await eventually(empty)


async def test_one_entry_that_the_store_refuses_keeps_no_other(
    begin: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    append = tables.append

    def picky(store: Any, telemetry: Telemetry, **named: Any) -> None:
        if telemetry.entity[0] == "odd":
            raise QueryRejectedError("planted")
        append(store, telemetry, **named)

    monkeypatch.setattr(place, "append", picky)
    running = await begin()
    await running.activate(PUSH)
    minute = int(time.time()) // MINUTE * MINUTE - 10 * MINUTE
    await running.post("odd", minute, 1.0)
    await eventually(lambda: running.metrics.loops.failures()["store posted telemetry"] > 1)
    assert running.dead_letters == 0  # it may be the store that is at fault
    await running.post("billing", minute, 1.0)
    await eventually(lambda: running.present() == {"cron": 1})
    await eventually(lambda: running.dead_letters == 1)
    sample = running.metrics.registry.get_sample_value
    await eventually(lambda: sample("source_rows_total", {"source": "cron"}) == 1)
    assert sample("source_breaker_open", {"source": "cron"}) == 0


async def test_nothing_made_up_is_written_into_a_server_that_was_named(
    redis: Redis, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every table is read: of a machine that has nothing but made-up telemetry to give."""
    monkeypatch.setenv("CLICKHOUSE_URL", "http://127.0.0.1:8123")
    named = Settings()
    assert named.history_days == settings.history_days
    with EmbeddedClickhouse(tmp_path / "server") as store:
        create_tables(store)
        create_measurements(store)
        running = Service(store, redis, named)
        await running.service.start()
        await running.activate(SourcesConfig())
        assert await running.service.filled() == 0
        await eventually(lambda: read_states(redis))
        await running.close()
        tables = store.query("SELECT name FROM system.tables WHERE database = currentDatabase()")
        names = {each["name"] for each in tables}
        assert {"measurements", "decisions", "timeline"} <= names
        for name in names:
            (found,) = store.query(f"SELECT count() AS rows FROM {name}")  # noqa: S608 - the engine's own names
            assert found["rows"] == 0, name
    assert running.service.facts_of("order-gateway").exchange is None


async def test_what_is_stated_of_an_entity_is_known(begin: Callable[[], Any]) -> None:
    running = await begin()
    facts = {"billing": EntityFacts(exchange="XLON", target_ms=50.0)}
    await running.activate(PUSH.model_copy(update={"entities": facts}))
    await eventually(lambda: running.service.facts_of("billing").exchange == "XLON")
    # The demo's are no longer, once it is gone.
    await eventually(lambda: running.service.facts_of("order-gateway").exchange is None)


async def test_a_source_that_was_paused_leaves_nothing_when_it_is_removed(
    begin: Callable[[], Any], redis: Redis
) -> None:
    running = await begin()
    await running.activate(PUSH)
    minute = int(time.time()) // MINUTE * MINUTE - MINUTE
    await running.post("billing", minute, 12.0)
    await eventually(lambda: PublishedVectors(redis).read(["billing"]))
    await eventually(lambda: redis.exists(key(redis, "billing")))
    await running.activate(SourcesConfig(named={"cron": PushSource(paused=True)}))

    async def paused() -> bool:
        return bool(await running.states() == {"cron": "paused"})

    await eventually(paused)
    await running.activate(SourcesConfig(named={"other": PushSource()}))
    await eventually(lambda: removed(running) == ["cron"])
    withdrawn: Any = await redis.get(key(redis, "billing"))
    assert b'"values":{}' in withdrawn
    assert await PublishedVectors(redis).read(["billing"]) == [None]
    assert running.present() == {"cron": 1}


async def test_sources_that_go_while_the_platform_is_down_are_missed_once(
    begin: Callable[[], Any], redis: Redis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = {"paths": [str(tmp_path / "*.log")], "entity_name": "a", "time": {"field": "at"}}
    mapping = {"entity": "job", "metrics": {"cpu": {"kind": "gauge", "of": {"name": "cpu"}}}}
    named = {
        "edge": RemoteWriteSource.model_validate({"mapping": mapping, "paused": True}),
        "logs": LogsSource.model_validate({"lines": lines, "paused": True}),
        "cron": PushSource(),
    }
    running = await begin()
    await running.activate(SourcesConfig(named=named))

    async def remembered() -> bool:
        return bool(await redis.hlen("ballast:telemetry:configured") == len(named))

    await eventually(remembered)
    await SampleStream(redis, "edge").add(b"waits")
    await LineStream(redis, "edge").add(b"waits")
    await redis.set("ballast:sources:logs:positions", b"{}")
    await running.service.close()
    await running.activate(SourcesConfig(named={"other": PushSource()}))
    first = await begin()
    await eventually(lambda: removed(first) == ["cron", "edge", "logs"])
    second = await begin()  # in the middle of it
    await eventually(lambda: removed(second) == ["cron", "edge", "logs"])
    assert not await redis.keys("*edge*")
    assert not await redis.keys("*:logs:*")
    monkeypatch.setattr(removals, "LINGER_SECONDS", 0.0)

    async def forgotten() -> bool:
        return bool(await redis.hkeys("ballast:telemetry:configured") == [b"other"])

    await eventually(forgotten)
    assert removed(second) == ["cron", "edge", "logs"]


async def test_a_name_that_is_given_again_begins_with_nothing(
    begin: Callable[[], Any], redis: Redis
) -> None:
    running = await begin()
    mapping = {"entity": "job", "metrics": {"cpu": {"kind": "gauge", "of": {"name": "cpu"}}}}
    await running.activate(
        SourcesConfig(named={"cron": RemoteWriteSource.model_validate({"mapping": mapping})})
    )
    await eventually(lambda: "cron" in running.service._running.receiving)
    await redis.set("ballast:sources:cron:positions", b"{}")
    await running.activate(PUSH)

    async def clean() -> bool:
        return not await redis.keys("*cron*")

    await eventually(clean)
    assert removed(running) == []


def removed(running: Service) -> list[str]:
    found = read(running.store, 10, kinds=["source_removed"]).events
    return sorted(each["source"] for each in found)


async def test_no_more_of_the_past_is_fetched_than_is_kept(
    redis: Redis, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BALLAST_HISTORY_DAYS", "3")
    monkeypatch.setenv("BALLAST_MEASUREMENT_DAYS", "1")
    assert settings.history_days == 1
    with EmbeddedClickhouse(tmp_path / "server") as store:
        create_tables(store)
        create_measurements(store)
        running = Service(store, redis, Settings())
        await running.service.start()
        await running.activate(SourcesConfig())
        filled = await running.service.filled()
        (found,) = store.query("SELECT uniqExact(entity) AS entities FROM measurements")
        assert 0 < filled <= (86_400 // MINUTE + 1) * found["entities"]
        await running.close()


async def test_a_paused_source_is_shown_so(begin: Callable[[], Any]) -> None:
    running = await begin()
    await running.activate(SourcesConfig(named={"cron": PushSource(paused=True)}))

    async def shown() -> bool:
        return bool(await running.states() == {"cron": "paused"})

    await eventually(shown)


async def test_logs_that_name_entities_without_end_are_bounded(
    begin: Callable[[], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EntityLimit.__init__, "__defaults__", (2,))
    minute = int(time.time()) // MINUTE * MINUTE - MINUTE
    lines = [{"at": minute, "ms": 1, "service": f"job-{n}"} for n in range(5)]
    (tmp_path / "jobs.log").write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in lines))
    rules = {
        "paths": [str(tmp_path / "jobs.log")],
        "entity_field": "service",
        "time": {"field": "at", "format": "s"},
        "latency": {"field": "ms"},
    }
    running = await begin()
    logs = LogsSource.model_validate({"lines": rules, "lateness_seconds": 0})
    await running.activate(SourcesConfig(named={"jobs": logs}))
    await eventually(lambda: running.present() == {"jobs": 2})

    async def complained() -> bool:
        published = await read_states(running.redis)
        states = () if published is None else published.states
        found = [(each.fault, each.count) for state in states for each in state.complaints]
        return found == [("out of bounds", 3)]

    await eventually(complained)


async def test_logs_are_read_and_their_restarts_come_onto_the_timeline(
    begin: Callable[[], Any], tmp_path: Path
) -> None:
    minute = int(time.time()) // MINUTE * MINUTE
    with (tmp_path / "shop.log").open("wb") as file:
        for ago in (3, 2, 1):
            for n in range(6):
                at = minute - ago * MINUTE + n
                line = {"at": at, "ms": n, "msg": "listening" if n == 0 else "GET /"}
                file.write(orjson.dumps(line) + b"\n")
    lines = {
        "paths": [str(tmp_path / "shop.log")],
        "entity_name": "shop",
        "time": {"field": "at", "format": "s"},
        "latency": {"field": "ms"},
        "patterns": [{"kind": "restart", "where": [{"field": "msg", "equals": "listening"}]}],
    }
    logs = LogsSource.model_validate({"lines": lines, "lateness_seconds": 0})
    running = await begin()
    await running.activate(SourcesConfig(named={"shop-logs": logs}))

    def restarts() -> list[int]:
        found = read(running.store, 10, kinds=["restart"]).events
        return [int(each["time"].timestamp()) for each in found]

    await eventually(lambda: len(restarts()) == 3)
    assert restarts() == [minute - ago * MINUTE for ago in (1, 2, 3)]
    await eventually(lambda: running.present() == {"shop-logs": 3})
    found = running.store.query("SELECT request_rate, p99_ms FROM measurements")
    assert found == [{"request_rate": 0.1, "p99_ms": 5.0}] * 3


async def test_a_users_function_is_published_with_what_is_posted(
    begin: Callable[[], Any], settings: Settings, redis: Redis
) -> None:
    assert settings.functions_folder is not None
    module = settings.functions_folder / "team.py"
    module.write_text("def doubled(request_rate):\n    return request_rate * 2\n")
    module.chmod(0o644)
    running = await begin()
    own = {"doubled": {"function": "team:doubled", "inputs": ["request_rate"]}}
    features = FeatureConfig.model_validate({"definitions": own, "function_seconds": 60})
    await running.activate(PUSH, features)
    definitions = running.service.definitions
    await eventually(lambda: "doubled" in definitions.own.names)
    minute = int(time.time()) // MINUTE * MINUTE - MINUTE
    await running.post("billing", minute, 12.0)
    reading = Reading(definitions.catalogue(features), ["doubled"])

    async def doubled() -> bool:
        found = await PublishedVectors(redis).read(["billing"])
        return bool(reading.read(found, time.time()).values[0, 0] == 24.0)

    await eventually(doubled)
