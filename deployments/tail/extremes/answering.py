"""A batch of questions about extremes, each answered or refused in words."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from deployments.runtime.batch import Columns, Detail, FloatArray, Prediction, Refusal
from deployments.tail.extremes.blocks import fit_blocks
from deployments.tail.extremes.estimates import (
    LEVELS,
    Fitted,
    at_levels,
    at_periods,
    at_risk,
    interval,
    refused,
)
from models.errors import ModelError, TrainingDataError
from models.tail.extremes.answer import TailAnswer, TailQuestion, answer_tails

MODEL = "tail/peaks-over-threshold"
COLUMNS = ("threshold", "scale", "exceedance_probability", "value_at_risk", "lower", "upper")


def fit(asks: Sequence[dict[str, Any]], values: Sequence[FloatArray]) -> list[Fitted]:
    """Fit each row's values; the same to the bit whatever rows are fitted with it."""
    rows = list(zip(asks, values, strict=True))
    tails = iter(answer_tails([_question(*row) for row in rows if not of_blocks(row[0])]))
    return [fit_blocks(*row) if of_blocks(row[0]) else _fitted(next(tails), row[0]) for row in rows]


def of_blocks(ask: dict[str, Any]) -> bool:
    """Tell whether block maxima are asked for."""
    return ask["b"] is not None


def _fitted(found: TailAnswer | TrainingDataError, ask: dict[str, Any]) -> Fitted:
    if isinstance(found, ModelError):
        return {"refusal": refused(str(found), ask)}
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


@cache
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


def _numbers(found: TailAnswer) -> dict[str, float]:
    return {
        "threshold": found.fit.sample.threshold,
        "scale": found.scale.value,
        "exceedance_probability": found.exceedance_probability.value,
        **at_risk(found.value_at_risk[0]),
    }


def _detail(found: TailAnswer, ask: dict[str, Any]) -> Detail:
    data = {
        "is_extreme": found.is_extreme,
        "judged": found.judged,
        "shape": found.shape.value,
        "shape_interval": interval(found.shape),
        "scale_interval": interval(found.scale),
        "exceedance_interval": interval(found.exceedance_probability),
        "var": at_levels(found.value_at_risk),
        "cvar": at_levels(found.conditional_value_at_risk),
        "return_levels": at_periods(ask["p"], found.return_levels),
        "extremal_index": found.extremal_index,
        "exceedances": int(found.fit.sample.excess.size),
        "location": None,
        "blocks": None,
        "notes": list(found.notes),
    }
    return {"data": data, "interval": {"level": ask["c"]}}
