"""A plan whose hours are judged each by itself is played hour by hour."""

from pathlib import Path
from typing import Any

import numpy as np

from config_store.document import ConfigDocument
from config_store.shipped import default_document
from deployments.api.capacity import CAPACITY, CapacityBody
from deployments.gateway.pipeline.answers import Circumstances, LaneRow, StageResults, write_down
from deployments.impact.models_again import AskedAgain
from deployments.impact.playing import Playing
from deployments.impact.replay import Rules
from deployments.runtime.batch import Batch, Detail, Prediction
from deployments.safety.context_columns import ContextColumns
from deployments.safety.judge import Judge
from deployments.safety.list_items import ListItems
from features.fill import Filled
from observability.ledger.decision import DecisionIds
from safety.limits import Level, Range, Repair
from tests.deployments.impact.decisions import BEGUN, WHO, version_of

HOUR = 3600
WORKERS = [[30, 120, 40], [12, 13, 14]]


def at_most(document: ConfigDocument, workers: float) -> ConfigDocument:
    capacity = document.safety.families["capacity"]
    limit = Range(
        field="next_hour_workers",
        high=workers,
        name="few-workers",
        level=Level.UNSAFE,
        repair=Repair.CLAMP,
        message="So many are enough.",
    )
    capacity = capacity.model_copy(update={"ranges": (*capacity.ranges, limit)})
    families = document.safety.families | {"capacity": capacity}
    safety = document.safety.model_copy(update={"families": families})
    return document.model_copy(update={"safety": safety})


def plan(workers: list[int]) -> Detail:
    start = int(BEGUN) // HOUR * HOUR
    rates = [100.0 * each for each in workers]
    data: dict[str, Any] = {
        "start": start,
        "point": rates,
        "lower": [0.8 * rate for rate in rates],
        "upper": [1.2 * rate for rate in rates],
        "workers": list(workers),
        "drivers": {},
        "basis": "a test",
        "plan_basis": "a test",
        "reachable": True,
        "passed_over": {},
    }
    return {"data": data}


def recorded(document: ConfigDocument) -> list[str]:
    """Have the plans judged and written down as the gateway and the safety stage do it."""
    version, n = version_of(document, 1), len(WORKERS)
    bodies = [CapacityBody(entity=f"service-{at}", ingest_rate=1000.0) for at in range(n)]
    features = {"request_rate": np.full(n, 1000.0), "active_workers": np.full(n, 20.0)}
    inputs = CAPACITY.columns(bodies, document) | features
    details: list[Detail | None] = [plan(each) for each in WORKERS]
    first = np.array([each[0] for each in WORKERS], dtype=np.float64)
    said = {
        "next_hour_workers": first,
        "queue_capacity": np.full(n, 400.0),
        "rate": 100 * first,
        "lower": 80 * first,
        "upper": 120 * first,
    }
    batch = Batch("capacity", [body.entity for body in bodies], inputs | said)
    assert CAPACITY.nested is not None
    items = ListItems.of(CAPACITY.nested, details)
    unfolded = items.unfold(batch, details)
    ContextColumns(CAPACITY).add(unfolded, details, items, version, BEGUN)
    judge = Judge.of(document.safety.families["capacity"])
    judged = items.fold(judge.judge(unfolded), details, n)
    prediction = Prediction(said, "forecasting/chain", "1", details, version=1)
    ids = DecisionIds(lambda: BEGUN, np.random.default_rng(1).bytes).take(n)
    asks = [LaneRow(body, WHO, 100.0, 101.0, "r", version) for body in bodies]
    results = StageResults(batch, Filled(features, {}, {}, np.full(n, BEGUN)), prediction, judged)
    shared = Circumstances(version, degraded=False, features_lost=False, now=BEGUN, monotonic=100.5)
    _, decisions = write_down(CAPACITY, asks, ids, results, shared)
    return [each.row.decode() for each in decisions]


def play(base: ConfigDocument, candidate: ConfigDocument) -> list[Any]:
    own = Rules(version_of(base, 1))
    playing = Playing(Rules(version_of(candidate, 2)), {1: own}, AskedAgain(Path("nowhere")))
    return playing.play(recorded(base), {})


def test_each_hour_is_moved_by_itself() -> None:
    shipped = default_document()
    first, second = play(shipped, at_most(shipped, 35.0))
    assert "left_out" not in first, first
    # What the shipped policy had moved to 100 was 120 to the model, and is 35 now.
    changes = {(each[0], each[1]): (each[2], each[3]) for each in first["changes"]}
    assert changes == {
        ("next_hour_workers", 2): (100, 35),
        ("next_hour_workers", 3): (40, 35),
    }
    assert first["new"] == [("few-workers", "unsafe")]
    assert (second["changes"], second["new"]) == ([], [])


def test_what_was_moved_comes_back_under_a_milder_version() -> None:
    shipped = default_document()
    first, second = play(at_most(shipped, 25.0), shipped)
    assert "left_out" not in first, first
    changes = {(each[0], each[1]): (each[2], each[3]) for each in first["changes"]}
    assert changes == {
        ("next_hour_workers", None): (25, 30),
        ("next_hour_workers", 2): (25, 100),
        ("next_hour_workers", 3): (25, 40),
    }
    assert first["gone"] == [("few-workers", "unsafe")]
    assert second["changes"] == []
