"""The closed form beside `Prophet.predict`, with everything that it takes."""

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models.errors import TrainingDataError
from models.forecasting.forecaster import HourlySeries
from models.forecasting.prophet import ProphetForecaster
from models.forecasting.prophet_curve import ProphetCurve
from models.forecasting.prophet_fit import ProphetSettings, fit_curve, prophet_class
from models.forecasting.prophet_reading import curve_of

HOURS, AHEAD = 24 * 21, 48
START = pd.Timestamp("2024-03-04")
DAY = 86_400
HOLIDAYS = pd.DataFrame(
    {
        "holiday": ["expiry", "expiry", "half day"],
        "ds": pd.to_datetime(["2024-03-15", "2024-03-26", "2024-03-20"]),
        "lower_window": [0, 0, -1],
        "upper_window": [1, 1, 0],
    }
)


def table(hours: int = HOURS) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    size = hours + AHEAD
    dates = pd.date_range(START, periods=size, freq="h")
    flag, rate = (rng.random(size) < 0.2).astype(float), rng.normal(4, 3, size)
    y = 50 + 0.01 * np.arange(size) + 8 * np.sin(np.arange(size) * np.pi / 12)
    y += 5 * flag + 0.7 * rate + rng.normal(0, 1, size)
    return pd.DataFrame({"ds": dates, "y": y, "flag": flag, "rate": rate})


def known(rows: pd.DataFrame) -> Any:
    return rows[["flag", "rate"]].to_numpy(np.float64)


def seconds(moment: Any) -> int:
    return int((moment - pd.Timestamp(0)).total_seconds())


@pytest.mark.parametrize("mode", ["additive", "multiplicative"])
@pytest.mark.parametrize("growth", ["linear", "flat"])
@pytest.mark.parametrize("scaling", ["absmax", "minmax"])
def test_it_is_prophet(mode: str, growth: str, scaling: str) -> None:
    rows = table()
    model = prophet_class()(
        growth=growth, seasonality_mode=mode, scaling=scaling, holidays=HOLIDAYS.copy(),
        uncertainty_samples=0, holidays_mode="additive",
    )  # fmt: skip
    model.add_regressor("flag", mode="additive").add_regressor("rate", standardize=True)
    model.add_seasonality("fortnight", 14, 2, mode="multiplicative")
    model.fit(rows[:HOURS])
    future = rows[HOURS:].reset_index(drop=True)
    theirs = model.predict(future)
    ours = curve_of(model).parts(seconds(future["ds"][0]), 3600, AHEAD, known(future))
    size = np.abs(theirs["yhat"]).max()
    assert np.abs(ours.yhat - theirs["yhat"]).max() < 1e-9 * size
    assert np.abs(ours.trend - theirs["trend"]).max() < 1e-9 * size


def test_it_is_prophet_where_training_was() -> None:
    """Before the end the trend passes its change points one by one."""
    rows = table()
    model = prophet_class()(uncertainty_samples=0).fit(rows[:HOURS])
    ours = curve_of(model).parts(seconds(START), 3600, HOURS, np.zeros((HOURS, 0)))
    assert np.abs(ours.yhat - model.predict(rows[:HOURS])["yhat"]).max() < 1e-9 * 50


def test_it_is_prophet_with_a_countrys_holidays() -> None:
    days = pd.date_range("2021-01-01", periods=900, freq="D")
    y = np.random.default_rng(0).normal(10, 1, 900) + 3 * (days.month == 12)
    model = prophet_class()(uncertainty_samples=0)
    model.add_country_holidays("GB").fit(pd.DataFrame({"ds": days, "y": y}))
    ahead = pd.date_range(days[-1] + pd.Timedelta(days=1), periods=400, freq="D")
    theirs = model.predict(pd.DataFrame({"ds": ahead}))["yhat"]
    ours = curve_of(model).parts(seconds(ahead[0]), DAY, 400, np.zeros((400, 0)))
    assert np.abs(ours.yhat - theirs).max() < 1e-9 * 10
    assert np.count_nonzero(ours.holidays) > 5


def test_the_interval_is_the_one_prophet_simulates() -> None:
    rows = table()
    model = prophet_class()(changepoint_prior_scale=0.5, uncertainty_samples=4_000)
    model.fit(rows[:HOURS])
    future = pd.DataFrame({"ds": pd.date_range(START, periods=HOURS * 2, freq="h")[HOURS:]})
    np.random.seed(0)  # noqa: NPY002  Prophet draws from the global generator
    theirs = model.predict(future)
    parts = curve_of(model).parts(seconds(future["ds"][0]), 3600, HOURS, np.zeros((HOURS, 0)))
    ours = 2 * 1.2815515655 * np.sqrt(parts.variance)
    ratio = ours / (theirs["yhat_upper"] - theirs["yhat_lower"]).to_numpy()
    assert 0.9 < np.median(ratio[:48]) < 1.1
    assert 0.9 < np.median(ratio[-48:]) < 1.3  # the simulated law has thinner ends than a normal's


def test_it_comes_back_from_json_as_it_was() -> None:
    rows = table()
    model = prophet_class()(holidays=HOLIDAYS.copy(), uncertainty_samples=0)
    curve = curve_of(model.add_regressor("rate").fit(rows[:HOURS]))
    assert ProphetCurve.of(curve.document()) == curve


@pytest.mark.parametrize("settings", [{"growth": "logistic"}, {"mcmc_samples": 10}])
def test_other_forms_are_refused_in_words(settings: dict[str, Any]) -> None:
    with pytest.raises(TrainingDataError, match="closed form"):
        curve_of(prophet_class()(**settings))


def hourly() -> HourlySeries:
    rows = table()
    values = rows["y"].to_numpy(np.float64)[:HOURS]
    return HourlySeries("a", seconds(START), values, known(rows), ("flag", "rate"))


def test_a_fit_to_a_series_is_prophets_own() -> None:
    rows = table()
    model = prophet_class()(uncertainty_samples=0).add_regressor("flag").add_regressor("rate")
    model.fit(rows[:HOURS], seed=5)
    assert fit_curve(hourly(), seed=5) == curve_of(model)


def test_a_column_may_bear_a_name_that_prophet_keeps_for_itself() -> None:
    series = replace(hourly(), names=("holidays", "trend"))
    curve = fit_curve(series, seed=5)
    assert curve.names == ("holidays", "trend")
    ours = ProphetForecaster({"a": curve}).forecast([series], 24)
    usual = ProphetForecaster({"a": fit_curve(hourly(), seed=5)}).forecast([hourly()], 24)
    assert ours.point.tobytes() == usual.point.tobytes()


def test_what_cannot_be_fitted_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("line search failed")

    monkeypatch.setattr(prophet_class(), "fit", fails)
    with pytest.raises(TrainingDataError, match="a: Prophet could not be fitted: line search"):
        fit_curve(hourly(), seed=5)


def test_a_fit_looks_at_the_latest_values_only() -> None:
    short = ProphetSettings(most=200)
    assert fit_curve(hourly(), seed=5, settings=short).span == 199 * 3600


def test_too_few_values_are_refused_in_words() -> None:
    empty = HourlySeries("a", 0, np.full(9, np.nan), np.zeros((33, 0)), ())
    with pytest.raises(TrainingDataError, match="a: 0 values were measured, and Prophet needs 48"):
        fit_curve(empty, seed=0)


def test_a_day_is_forecast_in_a_fraction_of_the_time_that_a_fit_takes() -> None:
    series = hourly()
    begun = time.perf_counter()
    forecaster = ProphetForecaster({"a": fit_curve(series, seed=5)})
    fitted, took = time.perf_counter() - begun, []
    for _ in range(50):
        started = time.perf_counter()
        forecaster.forecast([series], 24)
        took.append(time.perf_counter() - started)
    assert min(took) < fitted / 50
