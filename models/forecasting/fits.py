"""The members that need no PyTorch, each as a function from series to a forecaster."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from models.errors import TrainingDataError
from models.forecasting.forecaster import Forecaster, HourlySeries
from models.forecasting.harmonic import HarmonicForecaster, fit_harmonic
from models.forecasting.lag_regression import LagRegression, fit_lag_regression
from models.forecasting.log_scale import LogScale, logarithm, usual_shift
from models.forecasting.profile import typical_profile
from models.forecasting.prophet import LEVEL, ProphetForecaster
from models.forecasting.prophet_fit import fit_curve
from models.forecasting.rolling import Fit
from models.forecasting.seasonal_average import SeasonalAverage
from models.forecasting.seasonal_naive import SeasonalNaive

T = TypeVar("T")

DOUBT = math.log(3.0)
"""Until a day was seen a rate is expected within a third and the threefold of the last one."""


def cheap_fits(
    shifts: Mapping[str, float], *, seed: int, level: float = LEVEL, horizon: int
) -> dict[str, Fit]:
    """Name the hourly members; all work on logarithms, each entity with its shift."""

    def naive(series: Sequence[HourlySeries]) -> Forecaster:
        return SeasonalNaive(level=level, profile=typical_profile(series, level), doubt=DOUBT)

    def average(_: Sequence[HourlySeries]) -> Forecaster:
        return SeasonalAverage(level=level)

    def prophet(series: Sequence[HourlySeries]) -> Forecaster:
        return ProphetForecaster(each_fitted(series, lambda one: fit_curve(one, seed=seed)), level)

    def harmonic(series: Sequence[HourlySeries]) -> Forecaster:
        fitted = each_fitted(series, lambda one: fit_harmonic(one, horizon, level=level))
        return HarmonicForecaster(fitted, level)

    def lags(series: Sequence[HourlySeries]) -> Forecaster:
        fitted = each_fitted(series, lambda one: fit_lag_regression(one, horizon, level=level))
        return LagRegression(fitted, level)

    members = {
        "seasonal_naive": naive,
        "seasonal_average": average,
        "harmonic": harmonic,
        "lag_regression": lags,
        "prophet": prophet,
    }
    return {name: on_logarithms(fit, shifts) for name, fit in members.items()}


def on_logarithms(fit: Fit, shifts: Mapping[str, float]) -> Fit:
    """Fit on the series' logarithms and answer in their own units."""

    def fitted(series: Sequence[HourlySeries]) -> Forecaster:
        own = {each.entity: shifts.get(each.entity, usual_shift(each)) for each in series}
        return LogScale(fit([logarithm(each, own[each.entity]) for each in series]), own)

    return fitted


def each_fitted(
    series: Sequence[HourlySeries], fit_one: Callable[[HourlySeries], T]
) -> dict[str, T]:
    """Fit one entity after the other; one that is too short is left out."""
    fitted = {}
    for each in series:
        try:
            fitted[each.entity] = fit_one(each)
        except TrainingDataError:
            continue
    return fitted
