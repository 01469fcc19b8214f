"""Forecasts of any series: POST /models/forecast."""

from collections.abc import Sequence

import numpy as np

from config_store.document import ConfigDocument
from deployments.api.endpoint import InferenceEndpoint, Nested
from deployments.api.forecast_answers import ForecastData, answers, describe, moments
from deployments.api.forecast_body import LEVELS, ForecastBody
from deployments.forecasting.series.operations import ForecastSeries
from deployments.runtime.batch import Columns, Detail, FloatArray
from models.forecasting.local.repeated import repeat_last
from safety.open_ends import FARTHEST

# What is known of the series without a model.
LAST = ("last", "last_lower", "last_upper")


def columns(bodies: Sequence[ForecastBody], _: ConfigDocument) -> Columns:
    """Give the last value and its own errors: from this a fallback answers."""
    found = np.array([_repeated(body) for body in bodies])
    return dict(zip(LAST, found.T, strict=True))


def _repeated(body: ForecastBody) -> tuple[float, float, float]:
    if body.values is None:
        return np.nan, np.nan, np.nan
    point, spreads = repeat_last(_floats(body.values), 1, (max(body.levels),))
    spread = float(spreads[0, 0])
    return (point, np.nan, np.nan) if np.isnan(spread) else (point, point - spread, point + spread)


def _floats(values: Sequence[float | None]) -> FloatArray:
    return np.array(values, dtype=np.float64)


def ask(body: ForecastBody) -> ForecastSeries:
    return {
        "metric": body.metric,
        "values": body.values,
        "ts": None if body.ts is None else [each.timestamp() for each in body.ts],
        "start": None if body.start is None else body.start.timestamp(),
        "frequency": body.frequency,
        "horizon": body.horizon,
        "levels": sorted(set(body.levels)),
        "holidays": sorted({each.isoformat() for each in body.holidays}),
        "model": body.model or "combination",
        "least": body.least,
    }


def fallback_detail(body: ForecastBody) -> Detail:
    """Repeat the last value over all steps, as wide as its own errors."""
    levels = sorted(set(body.levels))
    detail: Detail = {"interval": {"level": levels[-1]}}
    if body.values is None:
        return detail
    point, spreads = repeat_last(_floats(body.values), body.horizon, levels)
    if np.isnan(point):
        return detail
    claimed = not np.isnan(spreads).any()
    ends = spreads if claimed else np.full(spreads.shape, FARTHEST)
    middle = point if claimed else 0.0
    detail["data"] = {
        "ts": None,
        "value": [point] * body.horizon,
        "lower": (middle - ends[-1]).tolist(),
        "upper": (middle + ends[-1]).tolist(),
        "inner": [
            {"level": level, "lower": (middle - each).tolist(), "upper": (middle + each).tolist()}
            for level, each in zip(levels[:-1], ends, strict=False)
        ],
        "level": levels[-1],
        "said": describe("fallback", "no model answered: the last value is repeated"),
    }
    return detail


FORECAST = InferenceEndpoint(
    name="forecast",
    path="/models/forecast",
    summary="Forecast a metric, or any series that the request brings",
    nested=Nested(
        {"value": "value", "lower": "lower", "upper": "upper"}, item="step", moments=moments
    ),
    no_interval="The series is too short to say how far forecasts of it go wrong",
    body=ForecastBody,
    data=ForecastData,
    columns=columns,
    given=LAST,
    ordered=(("last_lower", "last_upper"),),
    answers=answers,
    fallback_detail=fallback_detail,
    interval_method="rolling-origin-conformal",
    interval_level=LEVELS[-1],
    deployment="forecasting",
    ask=ask,
)
