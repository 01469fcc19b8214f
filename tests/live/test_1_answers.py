"""What a client sees of a healthy platform."""

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
from redis import Redis

from features.sources.simulator.platform import Platform
from observability.exposition import decode
from observability.ledger.proof import Proof, verify_proof
from observability.snapshots import key
from tests.live.conftest import Live, answer_of, answered, eventually

# The first test waits for the platform to train itself.
pytestmark = [pytest.mark.live, pytest.mark.timeout(1200)]

BODY = {"entity": "order-gateway", "load": 0.8, "infra": 0.4, "slo_ms": 20}
CLOSED = ("p50_pred", "p95_pred", "p99_pred", "p999_pred")


def test_the_printed_curl_line_answers(curl_line: str) -> None:
    done = subprocess.run(curl_line, shell=True, capture_output=True, text=True, check=True)  # noqa: S602 - a user pastes it into a shell
    answer = json.loads(done.stdout)
    assert answer["data"]["action"] in {"none", "scale_up", "shed_load", "page"}
    assert answer["safety"]["level"] in {"safe", "warning"}


def test_an_answer_has_the_whole_envelope(client: httpx.Client) -> None:
    answer = answer_of(client, BODY)
    quantiles = [answer["data"][name] for name in CLOSED]
    assert quantiles == sorted(quantiles)
    assert 0 < answer["interval"]["lower"] < answer["interval"]["upper"]
    assert answer["interval"]["level"] == 0.9
    assert answer["meta"]["config_version"] >= 1
    assert answer["meta"]["degraded"] is False
    assert answer["meta"]["features"]["stale"] == []
    assert answer["meta"]["latency_ms"] > 0


def test_it_answers_under_the_versioned_prefix_too(client: httpx.Client) -> None:
    for path in ("/models/tail-slo", "/api/v1/models/tail-slo"):
        assert client.post(path, json=BODY).json()["data"] == answer_of(client, BODY)["data"]
    # Ages and bytes differ from one moment to the next.
    assert client.get("/api/v1/status").json().keys() == client.get("/status").json().keys()
    assert client.get("/api/v1/config").json() == client.get("/config").json()


def test_a_batch_of_one_and_a_batch_of_64_give_the_same_bits(client: httpx.Client) -> None:
    random = np.random.default_rng(7)
    bodies = [
        {
            "entity": str(random.choice(["order-gateway", "pricing", "auth", "nobody-knows-me"])),
            "load": float(random.uniform(0, 1.4)),
            "infra": float(random.uniform(0, 1)),
            "request_rate": float(random.uniform(1, 9000)),
            "error_rate": float(random.uniform(0, 0.2)),
            "slo_ms": float(random.uniform(1, 500)),
        }
        for _ in range(64)
    ]
    for _ in range(3):  # the fleet's size comes from the minute's features: ask within one minute
        together = answered(client, "/models/tail-slo", {"rows": bodies}).json()
        alone = [answer_of(client, body) for body in bodies]
        minutes = [answer["meta"]["features"]["event_time"] for answer in together + alone]
        if minutes[:64] == minutes[64:]:
            break
    assert minutes[:64] == minutes[64:]
    for one, among in zip(alone, together, strict=True):
        for part in ("data", "interval", "safety"):
            assert one[part] == among[part]


def test_on_fresh_minutes_the_interval_covers_nine_in_ten(client: httpx.Client) -> None:
    """Two days that nobody has seen yet, with the truth that they will bring."""
    platform = Platform(seed=0)
    now = int(time.time()) // 60 * 60
    inside = []
    for entity in platform.entities:
        minutes = platform.minutes(entity, now, now + 2 * 86_400).rows(slice(0, None, 11))
        rows = [
            {"entity": entity, "load": a, "infra": b, "request_rate": c, "error_rate": d}
            for a, b, c, d in zip(
                minutes.load.tolist(),
                minutes.infra.tolist(),
                minutes.request_rate.tolist(),
                minutes.error_rate.tolist(),
                strict=True,
            )
        ]
        answers = answered(client, "/models/tail-slo", {"rows": rows}).json()
        lower, upper = (
            np.array([answer["interval"][end] for answer in answers]) for end in ("lower", "upper")
        )
        # Eight requests a minute: one alone lets luck decide by a point or two.
        truth = minutes.exemplars
        inside.append((lower[:, None] <= truth) & (truth <= upper[:, None]))
    coverage = float(np.concatenate(inside).mean())
    print(f"coverage on fresh minutes: {coverage:.4f} of {sum(map(np.size, inside))}")  # noqa: T201 - the figure is the point
    assert 0.88 <= coverage <= 0.92


def test_what_was_answered_is_in_the_ledger_and_proven(client: httpx.Client) -> None:
    answer = answer_of(client, BODY)
    decision_id = answer["meta"]["decision_id"]
    row = client.get(f"/decisions/{decision_id}").raise_for_status().json()
    assert row["answer"] == answer
    assert row["request"] == BODY
    assert row["config_hash"] == client.get("/config").json()["config_hash"]
    eventually(lambda: client.get(f"/ledger/proof/{decision_id}").status_code == 200)
    found = client.get(f"/ledger/proof/{decision_id}").json()
    assert json.loads(found["row"])["decision_id"] == decision_id
    assert verify_proof(Proof.from_json(found))
    found["row"] = found["row"].replace(answer["data"]["action"], "nonsense")
    assert not verify_proof(Proof.from_json(found))


def test_decisions_are_listed_newest_first(client: httpx.Client) -> None:
    made = [answer_of(client, BODY)["meta"]["decision_id"] for _ in range(3)]
    listed = client.get("/metrics/decisions", params={"limit": 3, "family": "tail"}).json()
    assert [row["decision_id"] for row in listed] == made[::-1]
    wanted = {"timestamp", "entity", "allowed", "decision_reasons", "config_hash", "model_version"}
    assert wanted <= set(listed[0])


def test_a_decision_nobody_made_is_404(client: httpx.Client) -> None:
    answer = client.get("/decisions/01a1f80f-b119-7000-807c-fcbeaee3293f")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"load": NaN}', "load"),
        ('{"load": Infinity}', "load"),
        ('{"load": "high"}', "load"),
        ('{"load": true}', "load"),
        ('{"load": -1}', "load"),
        ('{"load": 0.5, "colour": "red"}', "colour"),
        ("{}", "body"),
        ("not json", "body"),
        ('{"rows": []}', "rows"),
        ('{"rows": [{"load": 0.5}, {"error_rate": 2}]}', "rows.1.error_rate"),
    ],
)
def test_what_does_not_fit_is_named(client: httpx.Client, body: str, field: str) -> None:
    answer = client.post("/models/tail-slo", content=body)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert field in error["fields"]
    assert error["request_id"]


@pytest.mark.usefixtures("patient")
def test_many_clients_at_once_each_get_their_own_answer(live: Live) -> None:
    loads = [round(0.01 * step, 2) for step in range(1, 90)]
    with live.client() as client:
        alone = [answer_of(client, {"load": load})["data"] for load in loads]
        with ThreadPoolExecutor(16) as pool:
            together = list(pool.map(lambda load: answer_of(client, {"load": load})["data"], loads))
    assert together == alone


def test_metrics_carry_the_promised_names(client: httpx.Client) -> None:
    text = client.get("/metrics").text
    for name in (
        "http_requests_total",
        "http_request_duration_seconds",
        "model_inference_duration_seconds",
        "safety_violations_total",
        "feature_cache_hits_total",
        "feature_cache_misses_total",
        "config_version",
        "lane_batch_rows",
    ):
        assert f"# TYPE {name}" in text or f"# TYPE {name.removesuffix('_total')} " in text, name
    as_json: dict[str, Any] = client.get("/metrics", headers={"Accept": "application/json"}).json()
    assert as_json["config_version"]["samples"][0]["value"] >= 1


def counts_left_since(live: Live, moment: float) -> bool:
    """Tell whether every gateway has left its counts after that moment."""
    with Redis(unix_socket_path=live.redis) as redis:
        left = {name.decode(): data for name, data in redis.hgetall(key(redis)).items()}
    gateways = [decode(data).at for name, data in left.items() if name.startswith("gateway-")]
    return bool(gateways) and min(gateways) > moment


def test_requests_are_counted_once_each(live: Live, client: httpx.Client) -> None:
    def counted(status: int) -> float:
        """Read the counter once all that was answered until now is in it."""
        now = time.time()
        eventually(lambda: counts_left_since(live, now))
        lines = client.get("/metrics").text.splitlines()
        wanted = f'http_requests_total{{endpoint="/models/tail-slo",status="{status}"}}'
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(wanted))

    refused, answers = counted(422), counted(200)
    assert client.post("/models/tail-slo", content="{}").status_code == 422
    for _ in range(25):
        answer_of(client, BODY)
    assert counted(422) == refused + 1
    assert counted(200) == answers + 25
