"""Forecasts on logarithms come back as levels, per cent intervals and parts that add up."""

from dataclasses import replace

import numpy as np
import pytest

from models.forecasting.forecaster import HourlySeries
from models.forecasting.harmonic import HarmonicForecaster, fit_harmonic
from models.forecasting.log_scale import LogScale, logarithm, off_scale, on_scale, usual_shift
from models.forecasting.seasonal_naive import SeasonalNaive
from tests.models.forecasting.forecasters import HORIZON, hourly


def test_the_naive_says_the_same_on_logarithms() -> None:
    series = hourly("a", 21)
    plain = SeasonalNaive().forecast([series], HORIZON)
    said = LogScale(SeasonalNaive(), {}).forecast([series], HORIZON)
    assert np.allclose(said.point, plain.point, rtol=1e-12)
    below, above = said.point / said.lower, said.upper / said.point
    assert np.allclose(below, above, rtol=0.05)


def test_parts_add_up_on_the_level() -> None:
    series = hourly("a", 21)
    shift = usual_shift(series)
    inner = HarmonicForecaster({"a": fit_harmonic(logarithm(series, shift), HORIZON)})
    said = LogScale(inner, {"a": shift}).forecast([series], HORIZON)
    assert np.allclose(sum(said.drivers.values()), said.point)
    assert (said.drivers["holidays"][0, 8:16] > 0).any()


def test_nought_and_less_are_allowed() -> None:
    series = hourly("a", 21)
    values = series.values.copy()
    values[::5], values[1::9] = 0.0, -3.0
    said = LogScale(SeasonalNaive(), {}).forecast([replace(series, values=values)], HORIZON)
    assert (said.point >= 0).all()
    assert said.point[0][values[-168:-144] <= 0] == pytest.approx(0, abs=1e-9)


def test_a_runaway_trend_stays_a_number() -> None:
    assert np.isfinite(off_scale(np.array([1e6, -1e6]), 1.0)).all()


def test_there_and_back_is_the_same() -> None:
    values = np.array([0.0, 0.3, 7.0, 1e6])
    assert np.allclose(off_scale(on_scale(values, 0.5), 0.5), values)
    assert on_scale(values, None) is values


def test_the_shift_of_nothing_is_one() -> None:
    empty = HourlySeries("a", 0, np.zeros(0), np.zeros((24, 0)), ())
    assert usual_shift(empty) == 1
    assert usual_shift(replace(empty, values=np.full(9, 200.0))) == 2
