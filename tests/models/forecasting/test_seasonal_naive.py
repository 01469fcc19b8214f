"""What stood there last, whatever is left of the history."""

import time
from dataclasses import replace

import numpy as np
import pytest

from models.forecasting.forecaster import HourlySeries
from models.forecasting.profile import typical_profile
from models.forecasting.seasonal_average import SeasonalAverage
from models.forecasting.seasonal_naive import SeasonalNaive
from tests.models.forecasting.forecasters import START, hourly, training_series

HORIZON = 24


def of(values: np.ndarray) -> HourlySeries:
    return HourlySeries("a", START, values, np.zeros((values.size + HORIZON, 0)), ())


def test_it_repeats_the_hour_of_a_week_ago() -> None:
    values = np.random.default_rng(0).random(500)
    said = SeasonalNaive().forecast([of(values)], HORIZON)
    assert np.array_equal(said.point[0], values[-168 : -168 + HORIZON])
    assert said.basis == ("the value 168 steps before",)


def test_under_a_week_it_repeats_yesterday_and_under_a_day_the_last_value() -> None:
    values = np.random.default_rng(0).random(500)
    said = SeasonalNaive().forecast([of(values[:100]), of(values[:9])], HORIZON)
    assert np.array_equal(said.point[0], values[76:100])
    assert set(said.point[1, :-9]) == {values[8]}


def test_a_gap_is_bridged_by_the_week_before_it() -> None:
    values = np.arange(504.0)
    values[-168 : -168 + 5] = np.nan
    said = SeasonalNaive().forecast([of(values)], HORIZON)
    assert np.array_equal(said.point[0, :5], np.arange(168.0, 173.0))
    assert np.array_equal(said.point[0, 5:], values[341 : 341 + 19])


def test_the_interval_holds_as_often_as_it_says() -> None:
    whole = np.random.default_rng(1).normal(100, 10, 168 * 60)
    held = []
    for end in range(168 * 10, whole.size - HORIZON, 97):
        said = SeasonalNaive(level=0.8).forecast([of(whole[:end])], HORIZON)
        truth = whole[end : end + HORIZON]
        held.append((said.lower[0] <= truth) & (truth <= said.upper[0]))
    assert 0.77 < np.mean(held) < 0.83


def test_one_value_is_carried_on_with_its_own_size_as_doubt() -> None:
    said = SeasonalNaive().forecast([of(np.array([4.0]))], HORIZON)
    assert (said.point == 4).all()
    assert (said.lower == 0).all()
    assert (said.upper == 8).all()
    assert said.basis == ("the last value",)


def test_no_history_gets_the_median_of_the_others() -> None:
    level = 0.9
    naive = SeasonalNaive(level=level, profile=typical_profile(training_series(), level))
    said = naive.forecast([of(np.zeros(0)), of(np.full(50, np.nan))], HORIZON)
    assert said.basis[0] == "no history at all: the median of 3 other entities"
    middle = training_series()[1].values.reshape(-1, 168).mean(axis=0)
    assert np.allclose(said.point[0], middle[:HORIZON])
    assert (said.lower[0] < said.point[0]).all()
    assert (said.upper[0] > said.point[0]).all()


def test_no_history_and_no_others_is_said_too() -> None:
    said = SeasonalNaive().forecast([of(np.zeros(0))], HORIZON)
    assert (said.point == 0).all()
    assert said.basis == ("no history at all: nothing is known, so 0",)


def test_a_million_points_take_no_longer_than_a_thousandth_of_them() -> None:
    values = np.random.default_rng(0).random(1_000_000)
    short, long = (of(values[-n:]) for n in (1_000, 1_000_000))
    assert took_to_forecast(long) < 20 * took_to_forecast(short) + 0.05


def took_to_forecast(history: HourlySeries) -> float:
    """Give the processor's time; the machine may be busy with other things."""
    started = time.thread_time()
    for _ in range(10):
        SeasonalNaive().forecast([history], HORIZON)
    return time.thread_time() - started


@pytest.mark.parametrize("horizon", [1, 24, 400])
def test_the_average_is_that_of_the_seasons_before(horizon: int) -> None:
    values = np.random.default_rng(0).random(168 * 6)
    said = SeasonalAverage(seasons=4).forecast([of(values)], horizon).point[0]
    weeks = values.reshape(6, 168)[2:].mean(axis=0)
    assert np.allclose(said[:168], weeks[: min(horizon, 168)])


def test_the_average_needs_a_season() -> None:
    short = replace(hourly("a", 6), known=np.zeros((0, 2)))
    assert np.isnan(SeasonalAverage().forecast([short], HORIZON).point).all()
