"""Fits Prophet to one entity's series."""

import logging
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from models.errors import TrainingDataError
from models.forecasting.answers import measured
from models.forecasting.forecaster import HourlySeries
from models.forecasting.fourier import times
from models.forecasting.known import telling
from models.forecasting.least import refuse_short
from models.forecasting.prophet_curve import ProphetCurve
from models.forecasting.prophet_reading import curve_of

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
    too few values were measured.
    """
    values = measured(series, settings.most)
    refuse_short(series, int(np.isfinite(values).sum()), "Prophet")
    names, known = telling(series, values.size)
    columns = [f"known{place}" for place in range(len(names))]  # Prophet reserves some names
    table = pd.DataFrame(known, columns=columns)
    table["ds"], table["y"] = _dates(series, values.size), values
    model = prophet_class()(
        n_changepoints=settings.changepoints,
        changepoint_range=settings.changepoint_range,
        changepoint_prior_scale=settings.changepoint_prior_scale,
        seasonality_mode=settings.seasonality_mode,
        uncertainty_samples=0,
    )
    for column in columns:
        model.add_regressor(column)
    curve = curve_of(_fitted(model, table, series.entity, seed))
    named = zip(curve.regressors, names, strict=True)
    return replace(curve, regressors=tuple(replace(each, name=name) for each, name in named))


def _fitted(model: Any, table: pd.DataFrame, entity: str, seed: int) -> Any:
    try:
        return model.fit(table, seed=seed, timeout=_PATIENCE)
    except (RuntimeError, TimeoutError, ValueError) as error:
        raise TrainingDataError(f"{entity}: Prophet could not be fitted: {error}") from error


def _dates(series: HourlySeries, size: int) -> pd.DatetimeIndex:
    start = series.end - series.step * size
    return pd.to_datetime(times(start, series.step, size), unit="s")


def prophet_class() -> Any:
    """Import Prophet; takes a second or two the first time.

    Its loggers say at every fit which seasons are off, and cmdstanpy says when it starts a process:
    nothing that someone could act on.
    """
    for name in ("prophet", "prophet.plot", "prophet.models"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    _quiet_cmdstanpy()
    from prophet import Prophet  # noqa: PLC0415  importing it takes seconds, so not before

    return Prophet


def _quiet_cmdstanpy() -> None:
    """Give its logger a handler, without which its first message would reset the level."""
    logger = logging.getLogger("cmdstanpy")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    logger.setLevel(logging.CRITICAL)
