"""Decisions about the tail as the ledger records them, of a model that draws its answers."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson

from access.keys import Principal, Role
from config_store.document import ConfigDocument
from config_store.shipped import default_document
from config_store.store import Version
from deployments.api.tail import FEATURES, TAIL, TailBody
from deployments.gateway.pipeline.answers import Circumstances, LaneRow, StageResults, write_down
from deployments.runtime.batch import Batch, Columns, Prediction
from deployments.safety.judge import Judge
from features.fill import Filled
from observability.ledger.decision import Decision, DecisionIds
from safety.limits import Level, Range, Repair

WHO = Principal("k1", Role.CLIENT)
BEGUN = 1_772_461_800.0
MADE = datetime(2026, 3, 2, tzinfo=UTC)
CODES = ("none", "scale_up", "shed_load", "page")
Row = dict[str, Any]


def version_of(document: ConfigDocument, number: int) -> Version:
    return Version(number, document.config_hash, "ada", "a test", MADE, document)


@dataclass(frozen=True, slots=True)
class Drawn:
    """Decisions, and what the model had said of each."""

    decisions: list[Decision]
    said: Columns
    inputs: Columns

    @property
    def texts(self) -> list[str]:
        return [each.row.decode() for each in self.decisions]

    @property
    def rows(self) -> list[Row]:
        return [orjson.loads(each.row) for each in self.decisions]


def drawn(n: int, seed: int, version: Version | None = None, begun: float = BEGUN) -> Drawn:
    """Draw questions and what a model says; of some rows nothing that could leave."""
    version = version or version_of(default_document(), 1)
    draw = np.random.default_rng(seed)
    inputs, said = _inputs(n, draw), _said(n, draw)
    names = [f"service-{at % 7}" for at in range(n)]
    batch = Batch("tail", names, inputs | said, version=version.number)
    judge = Judge.of(version.document.safety.families["tail"])
    judged = judge.judge(batch)
    given = {name: inputs[name] for name in FEATURES}
    ids = DecisionIds(lambda: begun, draw.bytes).take(n)
    bodies = [
        TailBody(entity=name, load=load)
        for name, load in zip(names, inputs["load"].tolist(), strict=True)
    ]
    asks = [LaneRow(body, WHO, 100.0, 101.0, "r", version) for body in bodies]
    filled = Filled(given, {}, {}, np.full(n, begun - 60))
    prediction = Prediction(said, "tail/xgboost-quantile", "1.0.0", version=version.number)
    results = StageResults(batch, filled, prediction, judged)
    shared = Circumstances(version, degraded=False, features_lost=False, now=begun, monotonic=100.5)
    _, decisions = write_down(TAIL, asks, ids, results, shared)
    return Drawn(decisions, said, inputs)


def _inputs(n: int, draw: np.random.Generator) -> Columns:
    return {
        "load": draw.uniform(0, 1.5, n).round(3),
        "infra": draw.uniform(0, 1, n),
        "request_rate": draw.uniform(100, 9_000, n),
        "error_rate": draw.beta(1, 50, n),
        "active_workers": draw.integers(4, 30, n).astype(np.float64),
        "baseline_ms": draw.lognormal(1.5, 0.5, n),
        "baseline_rate": draw.uniform(100, 1_000, n),
        "slo_ms": np.full(n, 250.0),
    }


def _said(n: int, draw: np.random.Generator) -> Columns:
    quantiles = np.cumsum(draw.lognormal(2.0, 1.0, (n, 4)), axis=1)
    p99 = quantiles[:, 2]
    said = {
        name: quantiles[:, at].copy()
        for at, name in enumerate(("p50_pred", "p95_pred", "p99_pred", "p999_pred"))
    }
    said |= {
        "lower": p99 * draw.uniform(0.3, 1.0, n),
        "upper": p99 * draw.uniform(1.0, 6.0, n),
        "breach_probability": draw.uniform(0, 1, n),
        "action": draw.integers(0, len(CODES), n).astype(np.float64),
        "autoscale_workers": draw.integers(4, 60, n).astype(np.float64),
        "admit_fraction": draw.uniform(0.02, 1, n),
    }
    said["p99_pred"][::41] = math.nan  # nothing that could leave
    said["p95_pred"][7::53] *= 100  # quantiles that cross
    return said


def stricter(document: ConfigDocument, most: float, surest: float) -> ConfigDocument:
    """Have so many workers at most, and no answer of a model that is surer of a breach than so."""
    tail = document.safety.families["tail"]
    ranges = (
        Range(
            field="autoscale_workers",
            high=most,
            level=Level.UNSAFE,
            repair=Repair.CLAMP,
            name="few-workers",
            message="So many are enough.",
        ),
        Range(
            field="breach_probability",
            high=surest,
            level=Level.UNSAFE,
            name="too-sure",
            message="So sure is no model.",
            repair=Repair.FALLBACK,
        ),
    )
    tail = tail.model_copy(update={"ranges": (*tail.ranges, *ranges)})
    families = document.safety.families | {"tail": tail}
    safety = document.safety.model_copy(update={"families": families})
    return document.model_copy(update={"safety": safety})
