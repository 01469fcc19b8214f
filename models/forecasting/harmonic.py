"""A fixed season and a level that moves: harmonic regression with exponential smoothing on top.

A practitioner's answer to a series whose season is stable and whose level wanders: the season is
fitted once by ridge regression on sines, cosines and the known columns (Hyndman and Athanasopoulos,
Forecasting: principles and practice, 3rd ed., section 10.5); what is left is smoothed by simple
exponential smoothing (section 8.1), whose last level is carried on. Its half-life is the one that
forecast best over the training's own hours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.forecasting.answers import Answer, measured
from models.forecasting.fitted import FittedForecaster
from models.forecasting.forecaster import HourlySeries
from models.forecasting.fourier import waves
from models.forecasting.known import known_about, telling
from models.forecasting.least import refuse_short
from models.forecasting.spread import error_quantile
from models.protocols import FloatArray

KIND = "harmonic"
Seasons = Sequence[tuple[float, int]]
HOURLY_SEASONS = ((1.0, 8), (7.0, 6))
"""Periods in days and their numbers of harmonics."""
HALF_LIVES = (3, 12, 48, 168)
_RIDGE = 1e-3
_TINY = 1e-12
_MEMORY = 8
"""Half-lives of the past that are smoothed over; what came before weighs under 1 %."""
_MOST = 20_000


@dataclass(frozen=True, slots=True)
class Harmonic:
    """One entity's fit."""

    seasons: tuple[tuple[float, int], ...]
    names: tuple[str, ...]
    """Of the known columns that it uses."""
    centre: float
    beta: tuple[float, ...]
    half_life: int
    spread: float


class HarmonicForecaster(FittedForecaster[Harmonic]):
    """Answers the entities it was fitted to."""

    name = KIND

    @classmethod
    def _fit_of(cls, document: Mapping[str, Any]) -> Harmonic:
        seasons = tuple((float(period), int(order)) for period, order in document["seasons"])
        rows = {"names": tuple(document["names"]), "beta": tuple(document["beta"])}
        return Harmonic(**dict(document) | rows | {"seasons": seasons})

    def _answer(self, series: HourlySeries, horizon: int) -> Answer | None:
        if (fit := self.fits.get(series.entity)) is None:
            return None
        values = measured(series, _MEMORY * fit.half_life)
        columns = _columns(series, values.size, horizon, fit.seasons, fit.names)
        if columns is None or np.isnan(values).all():
            return None
        effects = columns * np.array(fit.beta)
        left = values - fit.centre - effects[: values.size].sum(axis=1)
        level = smoothed_level(left, fit.half_life)
        ahead, own = effects[values.size :], 2 * sum(order for _, order in fit.seasons)
        seasonality, events = ahead[:, :own].sum(axis=1), ahead[:, own:].sum(axis=1)
        trend = np.full(horizon, fit.centre + level)
        point = trend + (seasonality + events)
        drivers = {"trend": trend, "seasonality": seasonality, "holidays": events}
        basis = "its season and its level of late"
        return Answer(point, point - fit.spread, point + fit.spread, drivers, basis)


def fit_harmonic(
    series: HourlySeries,
    horizon: int,
    *,
    level: float = 0.9,
    seasons: Seasons = HOURLY_SEASONS,
    half_lives: Sequence[int] = HALF_LIVES,
) -> Harmonic:
    """Fit season and half-life; TrainingDataError when there is too little to fit."""
    values = measured(series, _MOST)
    there = ~np.isnan(values)
    refuse_short(series, int(there.sum()), "a season")
    fine = tuple(seasons)
    names, known = telling(series, values.size)
    sines = waves(series.end - series.step * values.size, series.step, values.size, fine)
    columns = np.column_stack([sines, known])
    centre = float(np.mean(values[there]))
    beta = ridge(columns[there], values[there] - centre, _RIDGE)
    left = values - centre - (columns * beta).sum(axis=1)
    errors = {each: _errors_ahead(left, each, horizon) for each in half_lives}
    best = min(errors, key=lambda each: _mean_square(errors[each]))
    spread = error_quantile(errors[best], level)
    if not np.isfinite(spread):
        spread = float(np.ptp(values[there]))
    return Harmonic(fine, names, centre, tuple(beta.tolist()), best, spread)


def ridge(columns: FloatArray, target: FloatArray, strength: float) -> FloatArray:
    """Solve least squares; the penalty is `strength` of each column's own sum of squares."""
    gram = columns.T @ columns
    size = np.maximum(np.diag(gram), _TINY)
    return np.asarray(np.linalg.solve(gram + np.diag(strength * size), columns.T @ target))


def smoothed_level(left: FloatArray, half_life: float) -> float:
    """Average with weights that halve every `half_life` steps back, passing over gaps."""
    ages = np.arange(left.size)[::-1] / half_life
    weights = np.where(np.isnan(left), 0.0, np.power(0.5, ages))
    total = float(weights.sum())
    return float((weights * np.where(np.isnan(left), 0.0, left)).sum()) / total if total else 0.0


def _errors_ahead(left: FloatArray, half_life: int, horizon: int) -> FloatArray:
    """Carry the level on from every place of the second half; errors at five distances."""
    keep = 0.5 ** (1 / half_life)
    top = bottom = 0.0
    levels = np.full(left.size, np.nan)
    for place, value in enumerate(left.tolist()):
        there = value == value  # noqa: PLR0124  NaN is the one that is not
        top, bottom = keep * top + (value if there else 0.0), keep * bottom + there
        levels[place] = top / bottom if bottom else np.nan
    first = left.size // 2
    distances = sorted({max(1, round(horizon * share)) for share in (0.05, 0.25, 0.5, 0.75, 1)})
    distances = [d for d in distances if first + d < left.size] or [left.size - first]
    parts = [left[first + d :] - levels[first : levels.size - d] for d in distances]
    errors = np.concatenate(parts)
    return np.asarray(errors[~np.isnan(errors)])


def _mean_square(errors: FloatArray) -> float:
    return float(np.mean(errors**2)) if errors.size else np.inf


def _columns(
    series: HourlySeries, past: int, ahead: int, seasons: Seasons, names: Sequence[str]
) -> FloatArray | None:
    """Give the sines, and the known columns, of the latest values and of those to come."""
    if (known := known_about(series, names, past, ahead)) is None:
        return None
    sines = waves(series.end - series.step * past, series.step, past + ahead, seasons)
    return np.column_stack([sines, known])
