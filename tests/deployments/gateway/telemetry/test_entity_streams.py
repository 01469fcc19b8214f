"""What is answered about entities by their telemetry: nothing is sent but a name."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import pytest_asyncio

import deployments.anomaly.deployment
import deployments.history.client
from features.telemetry.columns import Telemetry
from features.vectors.published import OWN, PublishedVectors
from features.vectors.vector import matrix_of
from observability.clickhouse.embedded import EmbeddedClickhouse
from tests.deployments.asking import post, refused
from tests.deployments.house import House
from tests.deployments.little_history import MINUTE, LittleHistory, telemetry
from tests.waiting import PATIENCE_SECONDS

REGIME, ANOMALY = "/models/regime-detection", "/models/anomaly"
GATE = "/models/regime-detection/gate"
SHIFT = 10  # minutes ago


@pytest_asyncio.fixture
async def history(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[LittleHistory]:
    with EmbeddedClickhouse(tmp_path / "chdb") as store:
        found = LittleHistory(store, house.redis, time.time)
        monkeypatch.setattr(deployments.history.client, "ask", found.ask)
        monkeypatch.setattr(deployments.anomaly.deployment, "FEED_SECONDS", 0.1)
        yield found


@pytest.fixture(autouse=True)
def _another_minute() -> None:
    """Let each test begin with a minute of its own."""
    now.cache_clear()


@cache
def now() -> int:
    """Give the begin of the newest interval that is over."""
    return int(time.time()) // MINUTE * MINUTE - MINUTE


def hours(entity: str, *, deployed: bool) -> Telemetry:
    """Make three hours of which the last minutes are slow, where something was deployed."""
    ts = [now() - MINUTE * at for at in range(179, -1, -1)]
    draw = np.random.default_rng(len(entity))
    p99 = draw.normal(20, 1, len(ts))
    if deployed:
        p99[-SHIFT:] += 60
    rate = draw.normal(100, 4, len(ts))
    rows = telemetry(entity, ts, request_rate=rate.tolist(), p99_ms=p99.tolist())
    if deployed:
        rows.deploy[-SHIFT] = 1
    return rows


async def answered(house: House, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Ask until the entity is followed."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    async with house.client() as client:
        while (response := await client.post(path, json=body)).status_code == httpx.codes.NOT_FOUND:
            assert time.monotonic() < deadline, response.text
            await asyncio.sleep(0.1)
    assert response.status_code == httpx.codes.OK, response.text
    found: dict[str, Any] = response.json()
    return found


async def test_regimes_anomalies_and_the_gate_answer_about_an_entity(
    house: House, history: LittleHistory
) -> None:
    await history.store_rows(hours("orders", deployed=True))
    await history.store_rows(hours("basket", deployed=False))
    regime = await answered(house, REGIME, {"entity": "orders", "metric": "p99_ms"})
    data = regime["data"]
    assert data["regime"]["mean"] == pytest.approx(80, abs=2)
    began = datetime.fromisoformat(data["regime"]["since"]).timestamp()
    assert began == pytest.approx(now() - (SHIFT - 1) * MINUTE, abs=2 * MINUTE)
    assert regime["interval"]["lower"] < 80 < regime["interval"]["upper"]
    assert data["taken"] == 0
    told = data["telemetry"]
    assert (told["entity"], told["metrics"], told["observations"]) == ("orders", ["p99_ms"], 180)
    assert told["learning"]["observations_left"] > 1000
    assert datetime.fromisoformat(told["event_time"]).timestamp() == pytest.approx(now(), abs=60)
    assert told["event_time"] < told["known_time"]
    assert not told["stale"]
    assert regime["meta"]["features"]["event_time"] == told["event_time"]
    assert not regime["meta"]["degraded"]

    likeliest = await answered(house, REGIME, {"entity": "basket"})
    assert likeliest["data"]["telemetry"]["metrics"][0] in {"request_rate", "p99_ms"}
    anomaly = await answered(house, ANOMALY, {"entity": "orders"})
    (point,) = anomaly["data"]["points"]
    assert anomaly["data"]["telemetry"]["metrics"] == ["request_rate", "p99_ms"]
    assert point["score"] == pytest.approx(max(point["attribution"]))
    assert np.argmax(point["attribution"]) == 1
    assert anomaly["interval"]["lower"] <= point["p_value"] <= anomaly["interval"]["upper"]

    gate = await post(house, GATE, {"entity": "orders"})
    assert not gate["open"]
    assert gate["verdict"] == "changed"
    by_metric = {each["metric"]: each for each in gate["metrics"]}
    assert by_metric["p99_ms"]["probability"] > 0.9
    assert by_metric["request_rate"]["probability"] < 0.5
    (deploy,) = await history.events("deploy")
    assert datetime.fromisoformat(gate["deployed_at"]) == deploy["time"]
    calm = await post(house, GATE, {"entity": "basket", "deployed_at": deploy["time"].isoformat()})
    assert calm["open"]
    one = {"entity": "orders", "metrics": ["request_rate"]}
    assert (await post(house, GATE, one))["open"]


async def test_rows_of_streams_and_of_entities_are_answered_together(
    house: House, history: LittleHistory
) -> None:
    await history.store_rows(hours("orders", deployed=False))
    await answered(house, REGIME, {"entity": "orders"})
    rows = [
        {"stream": "s", "values": [1.0]},
        {"entity": "orders", "metric": "request_rate"},
        {"stream": "s", "values": [2.0, 3.0]},
    ]
    first, second, third = await post(house, REGIME, {"rows": rows})
    assert (first["data"]["taken"], third["data"]["taken"]) == (1, 2)
    assert "telemetry" not in first["data"]
    assert second["data"]["telemetry"]["metrics"] == ["request_rate"]


async def test_what_is_not_followed_is_said_to_be_so(house: House, history: LittleHistory) -> None:
    status, error = await refused(house, REGIME, {"entity": "nobody"})
    assert status == 404
    assert "GET /entities" in error["message"]
    assert (await refused(house, ANOMALY, {"entity": "nobody"}))[0] == 404
    assert (await refused(house, GATE, {"entity": "nobody"}))[0] == 404
    await history.store_rows(hours("orders", deployed=False))
    await answered(house, REGIME, {"entity": "orders"})
    status, error = await refused(house, REGIME, {"entity": "orders", "metric": "memory"})
    assert status == 404
    assert "request_rate, p99_ms" in error["message"]
    status, error = await refused(house, GATE, {"entity": "orders"})
    assert status == 404
    assert "deployed_at" in error["message"]
    for body in ({}, {"entity": "orders", "ts": 1}, {"stream": "s"}, {"values": [1.0]}):
        assert (await refused(house, REGIME, body))[0] == 422
    for body in ({}, {"entity": "orders", "stream": "s", "deployed_at": 1}, {"stream": "s"}):
        assert (await refused(house, GATE, body))[0] == 422


async def test_what_the_streams_say_is_among_the_features(
    house: House, history: LittleHistory
) -> None:
    await history.store_rows(hours("orders", deployed=True))
    await answered(house, ANOMALY, {"entity": "orders"})
    later = telemetry("orders", [now() + MINUTE], request_rate=[100.0], p99_ms=[80.0])
    await history.store_rows(later)
    (found,) = await PublishedVectors(house.redis).read(["orders"])
    assert found is not None
    (numbers,) = matrix_of(OWN, [found[1]])
    values = dict(zip(OWN.names, numbers[1 + 2 * OWN.times :].tolist(), strict=True))
    assert 0 <= values["anomaly_score"] <= 1
    assert values["regime_minutes"] == pytest.approx(SHIFT - 1, abs=2)
    group = OWN.groups[OWN.names.index("regime_change")]
    event_time, newest = numbers[1 + group], numbers[1 + OWN.groups[OWN.names.index("load")]]
    # Whether the row was judged before it was published is a matter of milliseconds.
    assert event_time in (newest - MINUTE, newest)
