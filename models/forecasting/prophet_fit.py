"""Fits Prophet to one entity's series."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from models.errors import TrainingDataError
from models.forecasting.answers import measured
from models.forecasting.forecaster import HourlySeries
from models.forecasting.fourier import times
from models.forecasting.prophet_curve import ProphetCurve
from models.forecasting.prophet_reading import curve_of
from models.forecasting.quiet_prophet import prophet_class
from models.protocols import FloatArray

_LEAST = 2
_PATIENCE = 60  # seconds, for a fit that takes a quarter of one


@dataclass(frozen=True, slots=True)
class ProphetSettings:
    """Prophet's own defaults, but for the length of history."""

    changepoint_prior_scale: float = 0.05
    changepoint_range: float = 0.8
    changepoints: int = 25
    seasonality_mode: Literal["additive", "multiplicative"] = "additive"
    most: int = 20_000
    """Of the latest values; two years of hours and some."""


def fit_curve(
    series: HourlySeries, *, seed: int, settings: ProphetSettings = ProphetSettings()
) -> ProphetCurve:
    """Fit the series with its known columns as regressors.

    A column that never changed in training says nothing and is left out. TrainingDataError when
    fewer than two values were measured.
    """
    values = measured(series, settings.most)
    if np.count_nonzero(~np.isnan(values)) < _LEAST:
        raise TrainingDataError(
            f"{series.entity}: Prophet needs {_LEAST} measured values, there are fewer"
        )
    table = pd.DataFrame({"ds": _dates(series, values.size), "y": values})
    names = []
    for name, column in _changing(series, values):
        table[name] = column
        names.append(name)
    model = prophet_class()(
        n_changepoints=settings.changepoints,
        changepoint_range=settings.changepoint_range,
        changepoint_prior_scale=settings.changepoint_prior_scale,
        seasonality_mode=settings.seasonality_mode,
        uncertainty_samples=0,
    )
    for name in names:
        model.add_regressor(name)
    model.fit(table, seed=seed, timeout=_PATIENCE)
    return curve_of(model)


def _dates(series: HourlySeries, size: int) -> pd.DatetimeIndex:
    start = series.end - series.step * size
    return pd.to_datetime(times(start, series.step, size), unit="s")


def _changing(series: HourlySeries, values: FloatArray) -> list[tuple[str, FloatArray]]:
    now = len(series.values)
    history = series.known[max(now - values.size, 0) : now]
    if len(history) < values.size:
        return []
    there = ~np.isnan(values)
    columns = zip(series.names, np.asarray(history, np.float64).T, strict=True)
    return [
        (name, column)
        for name, column in columns
        if np.isfinite(column).all() and np.ptp(column[there]) > 0
    ]
