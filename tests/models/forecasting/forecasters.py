"""Every forecaster that the contract is tested on: add yours to CASES."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from models.forecasting.ensemble import EnsembleForecaster
from models.forecasting.fits import cheap_fits, each_fitted, on_logarithms
from models.forecasting.forecaster import Forecaster, HourlySeries
from models.forecasting.harmonic import HarmonicForecaster, fit_harmonic
from models.forecasting.lag_regression import LagRegression, fit_lag_regression
from models.forecasting.log_scale import usual_shift
from models.forecasting.profile import typical_profile
from models.forecasting.prophet import ProphetForecaster
from models.forecasting.prophet_fit import fit_curve
from models.forecasting.rolling import held_out_week, roll
from models.forecasting.seasonal_average import SeasonalAverage
from models.forecasting.seasonal_naive import SeasonalNaive
from models.forecasting.training import blends_of
from tests.models.forecasting.neural.cases import nbeats, tft

HORIZON = 24
START = 1_725_148_800  # a Sunday's midnight
NAMES = ("open", "auction")
Fitted = Callable[[Sequence[HourlySeries], int], Forecaster]


@dataclass(frozen=True)
class Case:
    name: str
    fit: Fitted
    """From series and a seed."""
    answers_anything: bool = False
    """Whether it answers an entity that it was not fitted to."""


def hourly(entity: str, days: int, seed: int = 0, size: float = 100.0) -> HourlySeries:
    """Make up demand: a day, a week, market hours, noise in proportion."""
    rng = np.random.default_rng(seed)
    hours = np.arange(24 * days + HORIZON)
    open_hours = (hours % 24 >= 8) & (hours % 24 < 16) & (hours // 24 % 7 < 5)
    known = np.column_stack([open_hours, rng.random(hours.size) * open_hours]).astype(float)
    level = np.sin(hours * np.pi / 12) * 0.3 + 0.8 * known[:, 0] + 0.2 * known[:, 1]
    values = size * np.exp(level + rng.normal(0, 0.1, hours.size))[:-HORIZON]
    return HourlySeries(entity, START, values, known, NAMES)


@cache
def training_series() -> tuple[HourlySeries, ...]:
    return tuple(hourly(f"service-{n}", 28, n, 10.0 ** (n + 1)) for n in range(3))


def _prophet(series: Sequence[HourlySeries], seed: int) -> Forecaster:
    return ProphetForecaster(each_fitted(series, lambda one: fit_curve(one, seed=seed)))


def _harmonic(series: Sequence[HourlySeries], _: int) -> Forecaster:
    return HarmonicForecaster(each_fitted(series, lambda one: fit_harmonic(one, HORIZON)))


def _lags(series: Sequence[HourlySeries], _: int) -> Forecaster:
    return LagRegression(each_fitted(series, lambda one: fit_lag_regression(one, HORIZON)))


def _naive(series: Sequence[HourlySeries], _: int) -> Forecaster:
    return SeasonalNaive(profile=typical_profile(series, 0.9))


def _average(_: Sequence[HourlySeries], __: int) -> Forecaster:
    return SeasonalAverage()


def _on_logarithms(series: Sequence[HourlySeries], seed: int) -> Forecaster:
    shifts = {each.entity: usual_shift(each) for each in series}
    return on_logarithms(lambda logs: _harmonic(logs, seed), shifts)(series)


def _ensemble(series: Sequence[HourlySeries], seed: int) -> Forecaster:
    shifts = {each.entity: usual_shift(each) for each in series}
    fits = cheap_fits(shifts, seed=seed, horizon=HORIZON)
    del fits["prophet"]  # it has a case of its own, and takes most of the time
    rolled = roll(series, fits, [held_out_week(HORIZON, 72, 24)], HORIZON)
    blends = blends_of(rolled, shifts, 0.9)
    return EnsembleForecaster([fit(series) for fit in fits.values()], blends, 0.9, shifts)


CASES = [
    Case("prophet", _prophet),
    Case("seasonal_naive", _naive, answers_anything=True),
    Case("seasonal_average", _average, answers_anything=True),
    Case("harmonic", _harmonic),
    Case("lag_regression", _lags),
    Case("log_scale", _on_logarithms),
    Case("ensemble", _ensemble, answers_anything=True),
    Case("nbeats", nbeats, answers_anything=True),
    Case("tft", tft, answers_anything=True),
]
