"""A batch of series, each forecast or refused in words."""

from collections.abc import Sequence
from functools import cache
from typing import Any, TypedDict

import numpy as np

from deployments.forecasting.series.grid import SeriesOnGrid
from deployments.runtime.batch import Columns, Detail, Prediction, Refusal
from models.errors import ModelError
from models.forecasting.local.answer import forecast_series
from models.forecasting.local.cadence import DAY, Cadence
from models.forecasting.local.question import LocalForecast, Question
from safety.open_ends import FARTHEST

MODEL = "forecasting/local"
COLUMNS = ("value", "lower", "upper")


class Forecasted(TypedDict, total=False):
    """What is said of one row, as JSON: its detail, or why it is refused."""

    detail: Detail
    refusal: Refusal


def refused(why: str, field: str) -> Forecasted:
    message = f"No forecast can be made: {why}"
    return {"refusal": {"code": "invalid", "message": message, "fields": {field: why}}}


def forecast(series: SeriesOnGrid, field: str) -> Forecasted:
    """Forecast one series; the same to the bit whatever is asked beside it."""
    try:
        found = forecast_series(series.question)
    except ModelError as why:
        return refused(str(why), field)
    return {"detail": _detail(found, series)}


@cache
def warm() -> None:
    """Forecast once by every method, so that no request waits for a compiler."""
    values = 10 + np.arange(200.0) % 7 + np.arange(200.0) * 7919 % 13
    forecast_series(Question(values, Cadence(DAY), 2, (0.9,)))


def prediction_of(rows: Sequence[Forecasted], version: str) -> Prediction:
    columns: Columns = {name: np.full(len(rows), np.nan) for name in COLUMNS}
    details: list[Detail | None] = [each.get("detail") for each in rows]
    refusals: dict[int, Refusal] = {}
    for row, each in enumerate(rows):
        if "refusal" in each:
            refusals[row] = each["refusal"]
            continue
        for name in COLUMNS:
            columns[name][row] = each["detail"]["data"][name][0]
    return Prediction(columns, MODEL, version, details, refusals)


def _detail(found: LocalForecast, series: SeriesOnGrid) -> Detail:
    levels = series.question.levels
    lower = np.where(np.isnan(found.lower), -FARTHEST, found.lower)
    upper = np.where(np.isnan(found.upper), FARTHEST, found.upper)
    ends = list(zip(levels, lower.tolist(), upper.tolist(), strict=True))
    level, lowest, highest = ends[-1]
    data: dict[str, Any] = {
        "ts": series.ts,
        "value": found.point.tolist(),
        "lower": lowest,
        "upper": highest,
        "level": level,
        "inner": [{"level": each, "lower": low, "upper": high} for each, low, high in ends[:-1]],
        "said": _describe(found, series),
    }
    return {"data": data, "interval": {"level": level}}


def _describe(found: LocalForecast, series: SeriesOnGrid) -> dict[str, Any]:
    held = found.coverage
    return {
        "model": series.question.model,
        "weights": found.weights,
        "seasons": list(found.seasons),
        "coverage_so_far": None
        if held is None
        else [
            {"level": level, "coverage": share}
            for level, share in zip(series.question.levels, held, strict=True)
        ],
        "coverage_points": found.coverage_points,
        "interval_reason": found.interval_reason,
        "coverage_reason": found.coverage_reason,
        "notes": list(found.notes),
    }
