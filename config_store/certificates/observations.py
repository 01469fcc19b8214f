"""Reads what the tests need off the ledger's rows; the same for who judges and who verifies."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import orjson

from config_store.certificates.plan import Plan
from models.evidence.trial import Pairs, Requests
from observability.ledger.decision import time_of

MINUTE_MS = 60_000


class Observation(NamedTuple):
    """One answer of one arm."""

    decision_id: str
    answers: str  # the decision that it is beside: its own, or the incumbent's of a shadow
    key: str
    minute: int
    candidate: bool
    values: dict[str, float]


def observations(plan: Plan, rows: Iterable[bytes]) -> list[Observation]:
    """Pick the rows of both arms, sorted by their ids: the order in which the tests take them."""
    read = (_observation(plan, orjson.loads(row)) for row in rows)
    picked = (each for each in read if each is not None)
    return sorted(picked, key=lambda each: each.decision_id)


def _observation(plan: Plan, row: Mapping[str, Any]) -> Observation | None:
    version = row.get("config_version")
    decision_id = row["decision_id"]
    ms = time_of(decision_id)
    if version not in {plan.incumbent, plan.candidate} or ms is None or ms < plan.begins_ms:
        return None
    if plan.family and row.get("family") != plan.family:
        return None
    beside = row.get("shadow_of")
    if beside is not None and not plan.design.paired:
        return None
    return Observation(
        decision_id=decision_id,
        answers=beside or decision_id,
        key=str(row.get("entity")),
        minute=ms // MINUTE_MS,
        candidate=version == plan.candidate,
        values=_values(row),
    )


def _values(row: Mapping[str, Any]) -> dict[str, float]:
    """Read the values of every metric; what is not there is missing, and never nought."""
    answer = row.get("answer") or {}
    allowed, meta = row.get("allowed"), answer.get("meta")
    return {
        "p99_ms": _number(row.get("processing_time_ms")),
        "violation_rate": math.nan if allowed is None else float(not allowed),
        "error_rate": math.nan if meta is None else float("fallback_reason" in meta),
        "interval_width": _width(answer.get("interval")),
    }


def _width(interval: Mapping[str, Any] | None) -> float:
    if interval is None or interval.get("method") == "fallback":
        return math.nan
    return _number(interval.get("upper")) - _number(interval.get("lower"))


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def requests_of(plan: Plan, seen: list[Observation]) -> Requests:
    """Put a canary's observations into columns."""
    return Requests(
        keys=[each.key for each in seen],
        minutes=np.array([each.minute for each in seen], dtype=np.int64),
        candidate=np.array([each.candidate for each in seen], dtype=np.bool_),
        values=_columns(plan, [each.values for each in seen]),
    )


def pairs_of(plan: Plan, seen: list[tuple[Observation, Observation]]) -> Pairs:
    """Put pairs of the incumbent's and the candidate's answer into columns."""
    return Pairs(
        keys=[one.key for one, _ in seen],
        minutes=np.array([one.minute for one, _ in seen], dtype=np.int64),
        incumbent=_columns(plan, [one.values for one, _ in seen]),
        candidate=_columns(plan, [other.values for _, other in seen]),
    )


def _columns(plan: Plan, values: list[dict[str, float]]) -> dict[str, np.ndarray]:
    names = [metric.name for metric in plan.margins.metrics]
    return {
        name: np.array([each.get(name, math.nan) for each in values], dtype=np.float64)
        for name in names
    }
