"""A real Prometheus is checked and fetched anew through the gateway, as the command does it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from config_store.shipped import default_document
from config_store.sources import PrometheusSource, PushSource, SourcesConfig
from config_store.store import ConfigStore
from deployments.gateway.app import build_app
from deployments.gateway.routes import sources as routes
from deployments.history.questions import Questions
from deployments.telemetry.demo import Demo
from deployments.telemetry.service import TelemetryService
from features.telemetry.by_source import sources_present
from features.telemetry.tables import create_measurements
from launch.errors import LaunchError
from launch.sources import backfilling
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.metrics import Metrics
from observability.schema import create_tables
from settings.environment import Settings
from tests.deploying import deployed
from tests.deployments.gateway.routes.test_datasets import Keys
from tests.modules import NO_MODULES
from tests.ports import any_free_port
from tests.prometheus_server import PrometheusServer, running, samples
from tests.waiting import eventually

MINUTE = 60
START = 1_700_000_040
MINUTES = 120
NOW = START + MINUTES * MINUTE + 10.0
MAPPING = {
    "entity": "job",
    "metrics": {
        "queue_depth": {"kind": "gauge", "of": {"name": "waiting"}},
        "load": {"kind": "gauge", "of": {"name": "nowhere"}},
    },
}


@pytest.fixture(scope="module")
def prometheus() -> Iterator[PrometheusServer]:
    at = [START + 7 + 15 * scrape for scrape in range(4 * MINUTES)]
    past = "# TYPE waiting gauge\n" + samples('waiting{job="shop"}', at, [3.0] * len(at))
    with running(past) as server:
        yield server


def source(url: str) -> PrometheusSource:
    return PrometheusSource.model_validate({"url": url, "mapping": MAPPING})


@pytest.fixture
def clock() -> SimpleNamespace:
    return SimpleNamespace(now=NOW)


@pytest.fixture(autouse=True)
async def store(
    clock: SimpleNamespace,
    prometheus: PrometheusServer,
    tmp_path: Path,
    redis: Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[EmbeddedClickhouse]:
    """Do what the history actor does when it is asked."""
    monkeypatch.setenv("BALLAST_HOME", str(tmp_path))
    sources = SourcesConfig(
        named={
            "prom": source(prometheus.url),
            "gone": source(f"http://127.0.0.1:{any_free_port()}"),
            "desk": PushSource(),
        }
    )
    document = default_document().model_copy(update={"sources": sources})
    await deployed(redis, document)
    with EmbeddedClickhouse(tmp_path / "history") as store:
        create_tables(store)
        create_measurements(store)
        metrics = Metrics(CollectorRegistry())
        demo = Demo(store, Settings())
        service = TelemetryService(store, redis, metrics, demo, NO_MODULES, wall=lambda: clock.now)
        await service.start()

        async def ask(question: object, *args: Any) -> Any:
            asked: dict[object, Any] = {
                Questions.begin_backfill: service.begin_backfill,
                Questions.cancel_backfill: service.cancel_backfill,
                Questions.backfill: service.backfill,
                Questions.check_source: service.check,
            }
            return await asked[question](*args)

        monkeypatch.setattr(routes, "ask", ask)
        monkeypatch.setattr(routes, "ask_within", lambda _, *asked: ask(*asked))
        yield store
        await service.close()
        await metrics.loops.stop()


@pytest.fixture
async def gateway(redis: Redis) -> AsyncIterator[httpx.AsyncClient]:
    version = await ConfigStore(redis).active()
    context: Any = SimpleNamespace(
        families={},
        observe=lambda *_: None,
        admission=Keys(),
        active=lambda: version,
        clocks=SimpleNamespace(wall=lambda: NOW),
        replica=SimpleNamespace(redis=redis),
    )
    transport = httpx.ASGITransport(build_app(context))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://gateway", headers={"X-API-Key": "operator"}
    ) as client:

        async def is_fetched() -> bool:
            states = {
                each["name"]: each for each in (await client.get("/sources")).json()["sources"]
            }
            return bool(states.get("prom", {}).get("backfill_share") == 1.0)

        await eventually(is_fetched)
        yield client


async def test_a_past_is_fetched_anew_and_earlier_moments_are_as_they_were(
    gateway: httpx.AsyncClient, store: EmbeddedClickhouse, clock: SimpleNamespace
) -> None:
    rows = sources_present(store)["prom"]
    assert rows >= MINUTES - 1
    clock.now += 20  # within the same interval
    text = await backfilling.backfill(gateway, "prom", None, None)
    assert f"done: {rows} rows were stored" in text
    known = store.query(
        "SELECT toUnixTimestamp(known) AS since, uniqExact(ts) AS minutes FROM measurements"
        " WHERE source = 'prom' GROUP BY since ORDER BY since"
    )
    minutes = {int(each["since"]): int(each["minutes"]) for each in known}
    assert minutes[int(NOW) + 20] == rows
    assert sum(minutes.values()) == 2 * rows
    shown = (await gateway.get("/sources/prom/backfill")).json()
    assert (shown["share"], shown["reached"]) == (1.0, shown["since"])
    assert "none is fetched anew" in await backfilling.watch(gateway, "prom")


async def test_a_check_says_what_comes_and_what_does_not(gateway: httpx.AsyncClient) -> None:
    found = (await gateway.post("/sources/prom/check")).json()
    assert (found["ok"], found["reachable"], found["rows"]) == (False, True, 10)
    assert found["entities"] == ["shop"]
    shares = {each["metric"]: (each["share"], each["high"]) for each in found["metrics"]}
    assert shares == {"queue_depth": (1.0, 3.0), "load": (0.0, None)}
    assert "No value of load" in found["message"]


async def test_a_check_of_one_that_is_away_is_an_answer(gateway: httpx.AsyncClient) -> None:
    found = (await gateway.post("/sources/gone/check")).json()
    assert (found["ok"], found["reachable"], found["rows"]) == (False, False, 0)
    assert "did not answer" in found["message"]


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/sources/desk/backfill", {}, 409, "clients post to it"),
        ("/sources/desk/check", None, 409, "cannot be asked"),
        ("/sources/nobody/backfill", {}, 404, "no source 'nobody'"),
        ("/sources/prom/backfill", {"from": NOW + 60}, 422, "Nothing lies in between"),
        ("/sources/prom/backfill", {"from": START + 60, "to": START}, 422, "in between"),
        ("/sources/prom/backfill", {"since": START}, 422, "contract"),
    ],
)
async def test_what_cannot_be_is_refused(
    gateway: httpx.AsyncClient, path: str, body: Any, status: int, said: str
) -> None:
    found = await gateway.post(path, json=body)
    assert (found.status_code, said in found.text) == (status, True), found.text


async def test_whoever_may_only_ask_begins_none(gateway: httpx.AsyncClient) -> None:
    gateway.headers["X-API-Key"] = "client"
    for method, path in (("POST", "backfill"), ("DELETE", "backfill"), ("POST", "check")):
        assert (await gateway.request(method, f"/sources/prom/{path}")).status_code == 403


async def test_a_refusal_reaches_the_command(gateway: httpx.AsyncClient) -> None:
    with pytest.raises(LaunchError, match="clients post to it"):
        await backfilling.backfill(gateway, "desk", None, None)
