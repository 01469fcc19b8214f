"""Ridge regression on lags, season and calendar, one for each hour ahead.

The direct strategy (Taieb and others, A review and comparison of strategies for multi-step ahead
forecasting, Expert Systems with Applications 2012): the hour h ahead has coefficients of its own on
what is known at the origin: the value now, a day and a week ago, the mean of the last day, the same
hour a day and a week before the target, sines of day and week, and the known columns at the target
and at the same hour a week before it, so that a holiday's absence of demand is not repeated.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.errors import TrainingDataError
from models.forecasting.answers import Answer, measured
from models.forecasting.fitted import FittedForecaster
from models.forecasting.forecaster import HourlySeries
from models.forecasting.fourier import waves
from models.forecasting.harmonic import ridge
from models.forecasting.known import known_about, telling
from models.forecasting.seasons import filled
from models.forecasting.spread import error_quantile
from models.protocols import FloatArray, IntArray

KIND = "lag_regression"
DAY, WEEK = 24, 168
SEASONS = ((1.0, 4), (7.0, 3))
_RIDGE = 1e-2
_BACK = WEEK + DAY
"""How much of the past a forecast looks at."""
_LEAST = 2 * WEEK
_MOST = 26 * WEEK


@dataclass(frozen=True, slots=True)
class Regression:
    """One entity's fit."""

    names: tuple[str, ...]
    centre: float
    beta: tuple[tuple[float, ...], ...]
    """A row an hour ahead."""
    spread: tuple[float, ...]


class LagRegression(FittedForecaster[Regression]):
    """Answers the entities it was fitted to, up to the horizon it was fitted for."""

    name = KIND

    @classmethod
    def _fit_of(cls, document: Mapping[str, Any]) -> Regression:
        return Regression(
            tuple(document["names"]),
            document["centre"],
            tuple(tuple(row) for row in document["beta"]),
            tuple(document["spread"]),
        )

    def _answer(self, series: HourlySeries, horizon: int) -> Answer | None:
        fit = self.fits.get(series.entity)
        if fit is None or horizon > len(fit.beta) or len(series.values) < _BACK:
            return None
        if (known := known_about(series, fit.names, _BACK, horizon)) is None:
            return None
        values = filled(measured(series, _BACK), (WEEK, DAY)) - fit.centre
        ahead = np.arange(1, horizon + 1)
        columns = _columns(series, values, known, np.full(horizon, _BACK - 1), ahead)
        point = (columns * np.array(fit.beta[:horizon])).sum(axis=1) + fit.centre
        if not np.isfinite(point).all():
            return None
        spread = np.array(fit.spread[:horizon])
        return Answer(point, point - spread, point + spread, {}, "its last day and week")


def fit_lag_regression(series: HourlySeries, horizon: int, *, level: float = 0.9) -> Regression:
    """Fit each hour ahead; TrainingDataError for under two weeks of history."""
    raw = measured(series, _MOST)
    if raw.size < _LEAST + horizon or np.count_nonzero(~np.isnan(raw)) < _LEAST:
        raise TrainingDataError(
            f"{series.entity}: only {np.count_nonzero(~np.isnan(raw))} hours were "
            f"measured; a regression on lags needs {_LEAST + horizon}"
        )
    centre = float(np.nanmean(raw))
    values = filled(raw, (WEEK, DAY)) - centre
    names, known = telling(series, raw.size)
    betas, spreads = [], []
    for ahead in range(1, horizon + 1):
        origins = np.arange(WEEK - 1, raw.size - ahead)
        targets = raw[origins + ahead] - centre
        columns = _columns(series, values, known, origins, np.full(origins.size, ahead))
        whole = np.isfinite(columns).all(axis=1) & ~np.isnan(targets)
        beta = ridge(columns[whole], targets[whole], _RIDGE)
        errors = targets[whole] - (columns[whole] * beta).sum(axis=1)
        betas.append(tuple(beta.tolist()))
        spreads.append(error_quantile(errors, level))
    return Regression(names, centre, tuple(betas), tuple(spreads))


def _columns(
    series: HourlySeries, values: FloatArray, known: FloatArray, now: IntArray, ahead: IntArray
) -> FloatArray:
    """Give a row for each pair of an origin's place in `values` and a distance ahead."""
    target = now + ahead
    last_day = _trailing_mean(values)
    first = series.end - series.step * values.size
    sines = waves(first, series.step, max(int(target.max()) + 1, values.size), SEASONS)
    return np.column_stack(
        [
            np.ones(now.size),
            values[now],
            values[now - DAY],
            values[now - WEEK + 1],
            last_day[now],
            values[target - DAY * -(-ahead // DAY)],
            values[target - WEEK],
            sines[target],
            known[target],
            known[target - WEEK],
        ]
    )


def _trailing_mean(values: FloatArray) -> FloatArray:
    sums = np.concatenate([[0.0], np.cumsum(np.where(np.isnan(values), 0.0, values))])
    mean = np.full(values.size, np.nan)
    mean[DAY - 1 :] = (sums[DAY:] - sums[:-DAY]) / DAY
    return mean
