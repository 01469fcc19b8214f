"""Capacity and extremes over the real telemetry, before and after the forecasters are trained."""

import os
import signal
import time
from typing import Any

import httpx
import pytest

from tests.effort import LONG
from tests.live.conftest import Live, answer_of, eventually

pytestmark = [pytest.mark.live, pytest.mark.timeout(2400)]

CAPACITY, EXTREMES = "/models/capacity-planning", "/models/extreme-events"
TRAINING_SECONDS = 1800.0  # alone on a quick machine it is two minutes
# The last one to be trained takes as long as all others together: that is for `make long`.
MODELS = ("ensemble", "prophet", "nbeats", *(("tft",) if LONG else ()))
BODY = {"entity": "order-gateway", "ingest_rate": 900.0, "cpu": 0.5, "p99": 8.0}


def ask(client: httpx.Client, **more: Any) -> dict[str, Any]:
    return answer_of(client, BODY | more, CAPACITY)


def trained(client: httpx.Client, model: str) -> bool:
    answer = ask(client, model=model)
    return answer["meta"]["model"] == f"forecasting/{model}" and not answer["meta"]["degraded"]


def test_every_forecaster_is_trained_beside_the_answers(live: Live, client: httpx.Client) -> None:
    started = time.monotonic()
    for model in MODELS:
        eventually(lambda model=model: trained(client, model), TRAINING_SECONDS)  # type: ignore[misc] # bound now
    print(  # noqa: T201 - the figure is the point
        f"all trained {time.monotonic() - started:.0f} s into this test"
    )
    for model in MODELS:
        data = ask(client, model=model)["data"]
        assert len(data["forecast"]) == len(data["workers"]) == 24
        assert data["plan_basis"] == "learned"
        assert all(each["lower"] <= each["rate"] <= each["upper"] for each in data["forecast"])
    if LONG:
        said = live.home / "logs" / "up.log"
        eventually(lambda: "trained" in said.read_text(), TRAINING_SECONDS)


def test_a_killed_forecaster_loses_no_answer(live: Live, client: httpx.Client) -> None:
    (victim, *_) = live.pids("ServeReplica:ballast:forecasting")
    os.kill(victim, signal.SIGKILL)
    answers = [ask(client) for _ in range(40)]
    assert any(answer["safety"]["fallback"] for answer in answers)
    assert all(answer["data"]["next_hour_workers"] >= 1 for answer in answers)
    eventually(lambda: not ask(client)["meta"]["degraded"])


def test_a_metrics_extremes_are_those_of_its_week(client: httpx.Client) -> None:
    answer = client.post(EXTREMES, json={"entity": "order-gateway", "metric": "p99_ms"})
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert data["exceedances"] >= 30
    assert data["var"][0]["lower"] <= data["var"][0]["value"] <= data["var"][0]["upper"]
    none = client.post(EXTREMES, json={"entity": "nobody", "metric": "p99_ms"})
    assert none.status_code == 422


def test_an_outcome_moves_the_intervals_that_follow(client: httpx.Client) -> None:
    body = {"entity": "auth", "load": 0.5}
    first = answer_of(client, body)
    latency = 1.5 * first["interval"]["upper"]
    for _ in range(12):
        answer = answer_of(client, body)
        decision = {"decision_id": answer["meta"]["decision_id"], "values": {"latency_ms": latency}}
        told = client.post("/models/tail-slo/outcome", json=decision)
        assert told.status_code == 200, told.text
    assert client.post("/models/tail-slo/outcome", json=decision).status_code == 409

    def widened() -> bool:
        answer = answer_of(client, body)
        return bool(answer["interval"]["upper"] > 1.2 * first["interval"]["upper"])

    eventually(widened)
    gauge = 'interval_coverage{model="tail"}'
    eventually(lambda: gauge in client.get("/metrics").text)
