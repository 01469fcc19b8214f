"""A batch of questions about extremes, each answered or refused in words."""

import math
from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np

from deployments.batch import Columns, Detail, FloatArray, Prediction, Refusal
from models.errors import ModelError, TrainingDataError
from models.tail.extremes.answer import TailAnswer, TailQuestion, answer_tails
from models.tail.extremes.profile_intervals import Estimate

MODEL = "tail/peaks-over-threshold"
COLUMNS = ("threshold", "scale", "exceedance_probability", "value_at_risk", "lower", "upper")
LEVELS = (0.99, 0.999)
# An end that the likelihood leaves open is told as this far, and as open in the notes.
FARTHEST = 1e300


class Fitted(TypedDict, total=False):
    """What is said of one row, as JSON: its numbers and its detail, or why it is refused."""

    numbers: dict[str, float]
    detail: Detail
    refusal: Refusal


def fit(asks: Sequence[dict[str, Any]], values: Sequence[FloatArray]) -> list[Fitted]:
    """Fit each row's values; the same to the bit whatever rows are fitted with it."""
    found = answer_tails([_question(*each) for each in zip(asks, values, strict=True)])
    return [_fitted(*each) for each in zip(found, asks, strict=True)]


def _fitted(found: TailAnswer | TrainingDataError, ask: dict[str, Any]) -> Fitted:
    if isinstance(found, ModelError):
        return {"refusal": _refusal(str(found), ask)}
    return {"numbers": _numbers(found), "detail": _detail(found, ask)}


def prediction_of(rows: Sequence[Fitted], version: str) -> Prediction:
    columns: Columns = {name: np.full(len(rows), np.nan) for name in COLUMNS}
    details: list[Detail | None] = [each.get("detail") for each in rows]
    refusals: dict[int, Refusal] = {}
    for row, each in enumerate(rows):
        if "refusal" in each:
            refusals[row] = each["refusal"]
            continue
        for name, value in each["numbers"].items():
            columns[name][row] = value
    return Prediction(columns, MODEL, version, details, refusals)


def warm() -> None:
    """Fit once, so that the first request of a replica waits for no compiler."""
    spread = [float(1 + at * 7919 % 997) for at in range(400)]
    answer_tails([TailQuestion(spread), TailQuestion(spread, dependent=True)])


def _question(ask: dict[str, Any], values: FloatArray) -> TailQuestion:
    return TailQuestion(
        values=values,
        threshold_quantile=ask["q"],
        confidence=ask["c"],
        levels=LEVELS,
        return_periods=tuple(ask["p"]),
        judged=ask["j"],
        dependent=ask["d"],
    )


def _refusal(why: str, ask: dict[str, Any]) -> Refusal:
    field = "values" if ask["m"] is None else "metric"
    return {"code": "invalid", "message": f"No tail can be fitted: {why}", "fields": {field: why}}


def _numbers(found: TailAnswer) -> dict[str, float]:
    at_risk = found.value_at_risk[0]
    return {
        "threshold": found.fit.sample.threshold,
        "scale": found.scale.value,
        "exceedance_probability": found.exceedance_probability.value,
        "value_at_risk": at_risk.value,
        "lower": _end(at_risk.lower, at_risk.value, -FARTHEST),
        "upper": _end(at_risk.upper, at_risk.value, FARTHEST),
    }


def _end(end: float, value: float, open_end: float) -> float:
    """Give an end that is a number: the value itself below the threshold, or very far."""
    if math.isnan(end):
        return value
    return open_end if math.isinf(end) else end


def _detail(found: TailAnswer, ask: dict[str, Any]) -> Detail:
    data = {
        "is_extreme": found.is_extreme,
        "judged": found.judged,
        "shape": found.shape.value,
        "shape_interval": _interval(found.shape),
        "scale_interval": _interval(found.scale),
        "exceedance_interval": _interval(found.exceedance_probability),
        "var": _levels(found.value_at_risk),
        "cvar": _levels(found.conditional_value_at_risk),
        "return_levels": [
            {"period": period, **_estimate(each)}
            for period, each in zip(ask["p"], found.return_levels, strict=True)
        ],
        "extremal_index": found.extremal_index,
        "exceedances": int(found.fit.sample.excess.size),
        "notes": list(found.notes),
    }
    return {"data": data, "interval": {"level": ask["c"]}}


def _levels(estimates: tuple[Estimate, ...]) -> list[dict[str, Any]]:
    return [
        {"level": level, **_estimate(each)} for level, each in zip(LEVELS, estimates, strict=True)
    ]


def _estimate(each: Estimate) -> dict[str, float | None]:
    return {"value": _finite(each.value), **_interval(each)}


def _interval(each: Estimate) -> dict[str, float | None]:
    return {"lower": _finite(each.lower), "upper": _finite(each.upper)}


def _finite(value: float) -> float | None:
    """JSON has no infinity: an end that is open is null."""
    return value if math.isfinite(value) else None
