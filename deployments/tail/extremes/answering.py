"""A batch of questions about extremes, each answered or refused in words."""

from collections.abc import Sequence
from functools import cache

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
from deployments.tail.extremes.operations import Fit, FitPeaks
from models.errors import ModelError, TrainingDataError
from models.tail.extremes.answer import TailAnswer, TailQuestion, answer_tails

MODEL = "tail/peaks-over-threshold"
COLUMNS = ("threshold", "scale", "exceedance_probability", "value_at_risk", "lower", "upper")


def fit(asks: Sequence[Fit], values: Sequence[FloatArray]) -> list[Fitted]:
    """Fit each row's values; the same to the bit whatever rows are fitted with it."""
    rows = list(zip(asks, values, strict=True))
    questions = [
        _question(ask, each) for ask, each in rows if ask["method"] == "peaks_over_threshold"
    ]
    tails = iter(answer_tails(questions))
    return [
        fit_blocks(ask, each) if ask["method"] == "block_maxima" else _fitted(next(tails), ask)
        for ask, each in rows
    ]


def _fitted(found: TailAnswer | TrainingDataError, ask: FitPeaks) -> Fitted:
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


def _question(ask: FitPeaks, values: FloatArray) -> TailQuestion:
    return TailQuestion(
        values=values,
        threshold_quantile=ask["threshold_quantile"],
        confidence=ask["confidence"],
        levels=LEVELS,
        return_periods=tuple(ask["return_periods"]),
        judged=ask["judged"],
        dependent=ask["dependent"],
    )


def _numbers(found: TailAnswer) -> dict[str, float]:
    return {
        "threshold": found.fit.sample.threshold,
        "scale": found.scale.value,
        "exceedance_probability": found.exceedance_probability.value,
        **at_risk(found.value_at_risk[0]),
    }


def _detail(found: TailAnswer, ask: FitPeaks) -> Detail:
    data = {
        "is_extreme": found.is_extreme,
        "judged": found.judged,
        "shape": found.shape.value,
        "shape_interval": interval(found.shape),
        "scale_interval": interval(found.scale),
        "exceedance_interval": interval(found.exceedance_probability),
        "var": at_levels(found.value_at_risk),
        "cvar": at_levels(found.conditional_value_at_risk),
        "return_levels": at_periods(ask["return_periods"], found.return_levels),
        "extremal_index": found.extremal_index,
        "exceedances": int(found.fit.sample.excess.size),
        "location": None,
        "blocks": None,
        "notes": list(found.notes),
    }
    return {"data": data, "interval": {"level": ask["confidence"]}}
