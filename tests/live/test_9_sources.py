"""A user's own telemetry: a real Prometheus that scrapes two real services is connected.

Connecting a source takes the demo away, so it has a platform of its own, or comes last.
"""

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import pytest

from tests.little_service import LittleService
from tests.live.conftest import Live, answer_of, eventually
from tests.live.scraped import (
    CADENCE,
    SCRAPE,
    call_it_stale_after,
    event_time,
    is_fresh,
    is_marked,
    scrape_config,
    source,
    tail,
    timeline,
)
from tests.prometheus_server import PrometheusServer, running

pytestmark = [
    pytest.mark.live,
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("runs_again"),
]

REPOSITORY = Path(__file__).parents[2]
SLOW_MS = 120.0


@dataclass(frozen=True, slots=True)
class Shop:
    """Two services under load, and the Prometheus that scrapes them."""

    orders: LittleService
    basket: LittleService
    prometheus: PrometheusServer
    config: str


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with ExitStack() as undo:
        orders = undo.enter_context(LittleService(4.0, rate=20))
        basket = undo.enter_context(LittleService(2.0, rate=10))
        ports = {"orders": orders.port, "basket": basket.port}
        config = scrape_config({job: f"127.0.0.1:{port}" for job, port in ports.items()})
        prometheus = undo.enter_context(running(None, config))
        yield Shop(orders, basket, prometheus, config)


def entities(client: httpx.Client) -> set[str]:
    """Name them; none while the history is too busy to answer."""
    return {each["entity"] for each in client.get("/entities").json().get("entities", ())}


def measured(shop: Shop, job: str, begin: float, end: float) -> list[float]:
    """Give a service's p99 in milliseconds as Prometheus itself has it, an interval a value."""
    buckets = f'rate(http_request_duration_seconds_bucket{{job="{job}"}}[{CADENCE}s])'
    query = {
        "query": f"1000 * histogram_quantile(0.99, sum by (le) ({buckets}))",
        "start": str(begin),
        "end": str(end),
        "step": str(SCRAPE),
    }
    answer = httpx.get(f"{shop.prometheus.url}/api/v1/query_range", params=query).json()
    (series,) = answer["data"]["result"]
    return [float(value) for _, value in series["values"] if value != "NaN"]


def processors() -> int:
    """Say how many processors' time there is for all that the tests run."""
    found = subprocess.run([REPOSITORY / "scripts/processors"], capture_output=True, check=True)
    return int(found.stdout)


def test_before_anything_is_connected_the_demo_is_shown_and_says_so(
    live: Live, client: httpx.Client
) -> None:
    assert client.get("/status").json()["demo"] is True
    assert "demo" in live.greeting
    assert [each["state"] for each in client.get("/sources").json()["sources"]] == ["demo"]


def test_a_prometheus_is_connected_without_a_line_written_by_hand(
    live: Live, client: httpx.Client, shop: Shop
) -> None:
    def proposed() -> bool:  # it must have been scraped for an interval
        shown = live.command(
            *("connect", "prometheus", shop.prometheus.url, "--dry-run", "--cadence", str(CADENCE))
        )
        return shown.returncode == 0 and re.search(r"p99_ms\s+2 of 2", shown.stdout) is not None

    eventually(proposed)
    connected = live.command(
        *("connect", "prometheus", shop.prometheus.url, "--cadence", str(CADENCE), "--yes")
    )
    assert connected.returncode == 0, connected.stderr
    assert re.search(r"request_rate\s+2 of 2", connected.stdout)
    eventually(lambda: source(client, "prometheus").get("state") == "live")
    assert client.get("/status").json()["demo"] is False
    eventually(lambda: entities(client) == {"orders", "basket"})


def test_features_follow_a_scrape_within_an_interval(client: httpx.Client, shop: Shop) -> None:
    """An interval of 15 s is known at its end, settles for 5 s, and is published then."""
    eventually(lambda: is_fresh(client, "orders"))
    assert shop.prometheus.process is not None
    told: list[float] = []
    asked = 0
    until = time.monotonic() + 3 * CADENCE  # also the past that the gate compares with
    while time.monotonic() < until:
        answer = tail(client, "orders")
        asked += 1
        if (event := event_time(answer)) is not None:
            told.append(time.time() - event)
            assert answer["meta"]["features"]["stale"] == []
        time.sleep(0.5)
    assert len(told) > 0.9 * asked
    # The interval itself, the next one under way, and what it takes until it is known. Where all
    # share one processor an interval may be read late, but before the next one is due.
    late = CADENCE if processors() == 1 else 0
    assert max(told) < 2 * CADENCE + 15 + late


def test_the_models_answer_about_these_services(client: httpx.Client) -> None:
    tail = answer_of(client, {"entity": "orders", "error_rate": 0.02})
    assert "request_rate" not in tail["meta"]["features"]["assumed"]
    assert tail["data"]["p99_pred"] > 0
    body = {"entity": "orders", "ingest_rate": 20, "cpu": 0.2, "p99": 9.0}
    plan = answer_of(client, body, "/models/capacity-planning")
    assert plan["data"]["next_hour_workers"] >= 1
    extremes = {"entity": "orders", "metric": "p99_ms"}
    answer = client.post("/models/extreme-events", json=extremes)
    assert answer.status_code in {200, 422}  # an hour has to pass until there is enough
    assert "order-gateway" not in answer.text


def of_entity(client: httpx.Client, path: str, **body: Any) -> dict[str, Any]:
    """Ask about an entity's telemetry, until a stream follows it."""
    eventually(lambda: client.post(path, json=body).status_code == 200, within_s=300)
    found: dict[str, Any] = answer_of(client, body, path)["data"]
    return found


def as_seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()


def test_regimes_and_anomalies_are_those_of_these_services(
    client: httpx.Client, shop: Shop
) -> None:
    regime = of_entity(client, "/models/regime-detection", entity="orders", metric="p99_ms")
    now = time.time()
    by_prometheus = measured(shop, "orders", now - 600, now)
    assert min(by_prometheus) <= regime["regime"]["mean"] <= max(by_prometheus)
    told = regime["telemetry"]
    assert (told["entity"], told["stale"]) == ("orders", False)
    assert time.time() - as_seconds(told["event_time"]) < 4 * CADENCE + 30
    assert told["learning"]["observations_left"] > 0  # nobody has a day's past in some minutes
    anomaly = of_entity(client, "/models/anomaly", entity="basket")
    assert {"request_rate", "p99_ms"} <= set(anomaly["telemetry"]["metrics"])
    assert len(anomaly["points"]) == 1

    def demo() -> int:
        found = client.post("/models/regime-detection", json={"entity": "order-gateway"})
        return found.status_code

    eventually(lambda: demo() == 404)


def test_a_deploy_is_on_the_timeline(client: httpx.Client, shop: Shop) -> None:
    before = {each["id"] for each in timeline(client, "deploy")}
    shop.orders.deploy(SLOW_MS)
    eventually(lambda: {each["id"] for each in timeline(client, "deploy")} > before)
    newest = timeline(client, "deploy")[0]
    assert (newest["entity"], newest["source"]) == ("orders", "prometheus")
    assert time.time() - datetime.fromisoformat(newest["time"]).timestamp() < 90
    assert {each["entity"] for each in timeline(client, "entity_appeared")} == {"orders", "basket"}


def test_the_gate_sees_what_the_deploy_did(client: httpx.Client, shop: Shop) -> None:
    """The services' latency is some milliseconds; the new process of one takes much longer."""

    def judged(entity: str, **fields: Any) -> dict[str, Any]:
        body = {"entity": entity, **fields}
        found: dict[str, Any] = client.post("/models/regime-detection/gate", json=body).json()
        return found  # an error, while the history is too busy to say when the deploy was

    latency = {"metrics": ["p99_ms"]}
    eventually(lambda: judged("orders", **latency).get("verdict") == "changed", within_s=300)
    slow = judged("orders", **latency)
    assert not slow["open"]
    (deploy, *_) = (each for each in timeline(client, "deploy") if each["entity"] == "orders")
    assert as_seconds(slow["deployed_at"]) == as_seconds(deploy["time"])
    calm = judged("basket", deployed_at=deploy["time"], **latency)
    deployed, now = as_seconds(deploy["time"]), time.time()
    before = median(measured(shop, "basket", deployed - 300, deployed))
    after = median(measured(shop, "basket", deployed, now))
    # On a machine that is short of time all services become slower, and that is a change.
    assert calm["verdict"] != "changed" or max(before / after, after / before) > 1.5

    def regime() -> dict[str, Any]:
        asked = {"entity": "orders", "metric": "p99_ms"}
        found: dict[str, Any] = of_entity(client, "/models/regime-detection", **asked)["regime"]
        return found

    # Of the interval in which the deploy fell some requests are old, some new: where there are few
    # values before it, three or four after it are what proves a new level.
    begun = as_seconds(deploy["time"]) - CADENCE
    eventually(lambda: as_seconds(regime()["since"]) >= begun, within_s=300)
    assert regime()["mean"] > SLOW_MS / 2


async def test_a_prometheus_that_is_away_leaves_marks_and_no_gap(
    live: Live, client: httpx.Client, shop: Shop
) -> None:
    await call_it_stale_after(live, 60.0)
    shop.prometheus.end()
    eventually(lambda: is_marked(client, "orders"), within_s=300)
    away = source(client, "prometheus")
    assert away["state"] == "away"
    assert "127.0.0.1" in away["why"]
    assert timeline(client, "source_away")
    shop.prometheus.start(shop.config)
    eventually(lambda: not is_marked(client, "orders"), within_s=300)
    eventually(lambda: source(client, "prometheus")["state"] == "live")
    assert timeline(client, "source_back")


def test_rows_of_a_cron_job_become_features(live: Live, client: httpx.Client) -> None:
    refused = client.post("/telemetry", json=[{"entity": "batch", "ts": 1, "request_rate": 1}])
    assert refused.status_code == 409
    assert "ballast connect push" in refused.json()["error"]["message"]
    connected = live.command("connect", "push", "cron", "--yes")
    assert connected.returncode == 0, connected.stderr

    def posted() -> bool:
        ts = int(time.time()) // 60 * 60 - 60
        row = {"entity": "batch", "ts": ts, "request_rate": 3.5, "p50_ms": 80.0}
        return client.post("/telemetry", json=[row]).status_code == 202

    eventually(posted)
    eventually(lambda: "batch" in entities(client))
    eventually(lambda: is_fresh(client, "batch", 180))
    features = answer_of(client, {"entity": "batch", "error_rate": 0.0})["meta"]["features"]
    assert "request_rate" not in features["assumed"]
