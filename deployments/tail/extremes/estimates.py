"""What a fit of extremes says, as JSON: estimates with their ends, and refusals."""

import math
from collections.abc import Sequence
from typing import Any, TypedDict

from deployments.runtime.batch import Detail, Refusal
from deployments.tail.extremes.operations import Fit
from models.tail.extremes.profile_intervals import Estimate
from safety.open_ends import FARTHEST

LEVELS = (0.99, 0.999)


class Fitted(TypedDict, total=False):
    """What is said of one row, as JSON: its numbers and its detail, or why it is refused."""

    numbers: dict[str, float]
    detail: Detail
    refusal: Refusal


def refused(why: str, ask: Fit) -> Refusal:
    field = "values" if ask["metric"] is None else "metric"
    return {"code": "invalid", "message": f"No tail can be fitted: {why}", "fields": {field: why}}


def at_risk(estimate: Estimate) -> dict[str, float]:
    """Give the columns that safety judges: every end a number, also one that is open."""
    return {
        "value_at_risk": estimate.value,
        "lower": _end(estimate.lower, estimate.value, -FARTHEST),
        "upper": _end(estimate.upper, estimate.value, FARTHEST),
    }


def at_levels(estimates: Sequence[Estimate]) -> list[dict[str, Any]]:
    pairs = zip(LEVELS, estimates, strict=True)
    return [{"level": level, **_estimate(each)} for level, each in pairs]


def at_periods(periods: Sequence[float], estimates: Sequence[Estimate]) -> list[dict[str, Any]]:
    pairs = zip(periods, estimates, strict=True)
    return [{"period": period, **_estimate(each)} for period, each in pairs]


def interval(each: Estimate) -> dict[str, float | None]:
    return {"lower": _finite(each.lower), "upper": _finite(each.upper)}


def _end(end: float, value: float, open_end: float) -> float:
    """Give an end that is a number: the value itself below the threshold, or very far."""
    if math.isnan(end):
        return value
    return open_end if math.isinf(end) else end


def _estimate(each: Estimate) -> dict[str, float | None]:
    return {"value": _finite(each.value), **interval(each)}


def _finite(value: float) -> float | None:
    """JSON has no infinity: an end that is open is null."""
    return value if math.isfinite(value) else None
