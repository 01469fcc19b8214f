"""The ensemble's simple members find what was put into the series."""

from dataclasses import replace

import numpy as np
import pytest

from models.errors import TrainingDataError
from models.forecasting.forecaster import HourlySeries
from models.forecasting.fourier import fourier, times
from models.forecasting.harmonic import HarmonicForecaster, fit_harmonic, smoothed_level
from models.forecasting.lag_regression import LagRegression, fit_lag_regression
from models.forecasting.rolling import cut
from models.forecasting.spread import error_quantile
from tests.models.forecasting.forecasters import HORIZON, START, hourly

HOURS = np.arange(24 * 35)


def of(values: np.ndarray) -> HourlySeries:
    return HourlySeries("a", START, values, np.zeros((values.size + HORIZON, 0)), ())


def test_a_season_and_a_step_of_the_level_are_carried_on() -> None:
    values = 50 + 9 * np.sin(HOURS * np.pi / 12) + 20 * (HOURS > 24 * 33)
    whole = of(values)
    past = cut(whole, HORIZON)
    fit = fit_harmonic(past, HORIZON)
    said = HarmonicForecaster({"a": fit}).forecast([past], HORIZON)
    assert fit.half_life == 3  # a level that steps is best followed at once
    assert np.abs(said.point[0] - values[-HORIZON:]).max() < 5  # of a step of 20


def test_a_level_that_only_jitters_is_smoothed_long() -> None:
    values = 50 + np.random.default_rng(0).normal(size=HOURS.size)
    assert fit_harmonic(of(values), HORIZON).half_life == 168


def test_smoothing_passes_over_gaps() -> None:
    assert smoothed_level(np.array([np.nan, 2.0, np.nan]), 3) == 2
    assert smoothed_level(np.array([0.0, 3.0]), 1) == 2
    assert smoothed_level(np.zeros(0), 1) == 0
    assert smoothed_level(np.full(3, np.nan), 1) == 0


def test_lags_carry_on_what_decays() -> None:
    """Of an AR(1) the best forecast is phi^h times the last value; that is about what is fitted."""
    rng = np.random.default_rng(0)
    values = np.zeros(24 * 150)
    for hour in range(1, values.size):
        values[hour] = 0.9 * values[hour - 1] + rng.normal()
    fit = fit_lag_regression(of(values), HORIZON)
    own = [row[1] for row in fit.beta]  # after the constant comes the value now
    assert own[0] == pytest.approx(0.9, abs=0.08)
    assert own[4] == pytest.approx(0.9**5, abs=0.15)
    assert own[23] == pytest.approx(0.9**24, abs=0.2)


def test_known_columns_are_used_for_the_hours_to_come() -> None:
    series = hourly("a", 35)
    past = cut(series, HORIZON)
    now = len(past.values)
    fit = fit_lag_regression(past, HORIZON)
    forecaster = LagRegression({"a": fit})
    weekday = replace(past, values=past.values[: now - 72])
    shut = weekday.known.copy()
    shut[now - 72 : now - 48, 0] = 0
    usual = forecaster.forecast([weekday], HORIZON).point[0]
    holiday = forecaster.forecast([replace(weekday, known=shut)], HORIZON).point[0]
    assert holiday[8:16].mean() < usual[8:16].mean() * 0.9


def test_too_little_history_is_refused_in_words() -> None:
    with pytest.raises(TrainingDataError, match="a: only 100 hours were measured"):
        fit_lag_regression(of(np.ones(100)), HORIZON)
    with pytest.raises(TrainingDataError, match="a: 0 values were measured, and a season needs 48"):
        fit_harmonic(of(np.full(100, np.nan)), HORIZON)


def test_the_error_quantile_is_split_conformals() -> None:
    errors = np.arange(-99.0, 100.0, 2)
    assert error_quantile(errors, 0.9) == np.sort(np.abs(errors))[90]
    assert error_quantile(np.array([1.0, -5.0]), 0.9) == 5
    assert np.isnan(error_quantile(np.array([1.0, np.nan]), 0.9))


def test_fourier_is_prophets() -> None:
    seconds = times(START, 3600, 5)
    columns = fourier(seconds, 7, 3)
    angle = 2 * np.pi * seconds / (7 * 86_400)
    assert np.allclose(columns[:, 4], np.sin(3 * angle), atol=1e-9)
    assert np.allclose(columns[:, 1], np.cos(angle), atol=1e-9)
