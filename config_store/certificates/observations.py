"""Reads what the tests need off the ledger's rows; the same for who judges and who verifies."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import orjson

from config_store.certificates.plan import OPEN_WIDTH, Plan
from config_store.steering.rollouts.shares import is_compared
from models.evidence.trial import Pairs, Requests
from models.protocols import BoolArray
from observability.ledger.decision import time_of
from observability.ledger.entry import Entry

MINUTE_MS = 60_000
TAG_DIGITS = 8


class Observation(NamedTuple):
    """One answer of one arm."""

    decision_id: str
    answers: str  # the decision that it is beside: its own, or the incumbent's of a shadow
    key: str
    minute: int  # in which it was written down: a look has all of it, or nothing
    candidate: bool
    values: dict[str, float]  # NaN where one is missing; none of a metric that it cannot have
    family: str = ""


def observations(plan: Plan, entries: Iterable[Entry]) -> list[Observation]:
    """Pick the rows of both arms, sorted by their ids: the order in which the tests take them."""
    return sorted(_picked(plan, entries), key=lambda each: each.decision_id)


def _picked(plan: Plan, entries: Iterable[Entry]) -> Iterator[Observation]:
    for entry in entries:
        minute = entry.header.created_ms // MINUTE_MS
        for row in entry.rows:
            observation = _observation(plan, orjson.loads(row), minute)
            if observation is not None:
                yield observation


def _observation(plan: Plan, row: Mapping[str, Any], minute: int) -> Observation | None:
    version, family = row.get("config_version"), row.get("family")
    decision_id = row["decision_id"]
    ms = time_of(decision_id)
    if version not in {plan.incumbent, plan.candidate} or ms is None or ms < plan.begins_ms:
        return None
    if plan.family and family != plan.family:
        return None
    beside = row.get("shadow_of")
    if beside is not None and not plan.design.paired:
        return None
    key = _key(plan, row)
    values = _values(row, has_interval=family not in plan.without_interval)
    return Observation(
        decision_id=decision_id,
        answers=beside or decision_id,
        key=key,
        minute=minute,
        candidate=version == plan.candidate,
        values=_matched(plan, key, values),
        family=str(family),
    )


def _key(plan: Plan, row: Mapping[str, Any]) -> str:
    """Give what the rollout went by; rows of an earlier release say it by their ids alone."""
    if row.get("family") not in plan.stateful:
        return str(row.get("entity"))
    # The id of a fallback's decision is its own, by which no feedback finds a state.
    return str(row.get("rollout_key") or row["decision_id"][-TAG_DIGITS:])


def _matched(plan: Plan, key: str, values: dict[str, float]) -> dict[str, float]:
    """Leave out what is compared between as many keys of either arm, where this is none of them."""
    matched = plan.design.matched
    if not matched or is_compared(plan.rollout, key, plan.design.share):
        return values
    return {name: value for name, value in values.items() if name not in matched}


def _values(row: Mapping[str, Any], *, has_interval: bool) -> dict[str, float]:
    """Read the values of every metric; what is not there is missing, and never nought."""
    answer = row.get("answer") or {}
    allowed, meta = row.get("allowed"), answer.get("meta")
    values = {
        "p99_ms": _number(row.get("processing_time_ms")),
        "violation_rate": math.nan if allowed is None else float(not allowed),
        "error_rate": math.nan if meta is None else float("fallback_reason" in meta),
    }
    return values | {"interval_width": _width(answer)} if has_interval else values


def _width(answer: Mapping[str, Any]) -> float:
    """Give the width; where the model leaves an end open, or claims nothing, there is no wider."""
    interval, meta = answer.get("interval"), answer.get("meta")
    if meta is None or _fell_back(answer):
        return math.nan
    if interval is None or None in (interval.get("lower"), interval.get("upper")):
        return OPEN_WIDTH
    return float(interval["upper"] - interval["lower"])


def _fell_back(answer: Mapping[str, Any]) -> bool:
    safety, interval = answer.get("safety") or {}, answer.get("interval") or {}
    return (
        bool(safety.get("fallback"))
        or interval.get("method") == "fallback"
        or "fallback_reason" in answer["meta"]
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def requests_of(plan: Plan, seen: list[Observation]) -> Requests:
    """Put a canary's observations into columns."""
    return Requests(
        keys=[each.key for each in seen],
        minutes=np.array([each.minute for each in seen], dtype=np.int64),
        candidate=np.array([each.candidate for each in seen], dtype=np.bool_),
        values=_columns(plan, [each.values for each in seen]),
        exists=_exist(plan, [each.values for each in seen]),
    )


def pairs_of(plan: Plan, seen: list[tuple[Observation, Observation]]) -> Pairs:
    """Put pairs of the incumbent's and the candidate's answer into columns."""
    return Pairs(
        keys=[one.key for one, _ in seen],
        # Of a pair that is complete only later it is the later minute.
        minutes=np.array([max(one.minute, other.minute) for one, other in seen], dtype=np.int64),
        incumbent=_columns(plan, [one.values for one, _ in seen]),
        candidate=_columns(plan, [other.values for _, other in seen]),
        exists=_exist(plan, [one.values for one, _ in seen]),
    )


def _columns(plan: Plan, values: list[dict[str, float]]) -> dict[str, np.ndarray]:
    names = [metric.name for metric in plan.margins.metrics]
    return {
        name: np.array([each.get(name, math.nan) for each in values], dtype=np.float64)
        for name in names
    }


def _exist(plan: Plan, values: list[dict[str, float]]) -> dict[str, BoolArray]:
    """Tell for each metric which rows can have it."""
    names = [metric.name for metric in plan.margins.metrics]
    return {name: np.array([name in each for each in values], dtype=np.bool_) for name in names}
