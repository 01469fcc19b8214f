"""Rolling origins see nothing of what they are judged on."""

from collections.abc import Sequence

import numpy as np

from models.forecasting.forecaster import Forecast, Forecaster, HourlySeries
from models.forecasting.rolling import cut, held_out_week, roll
from models.forecasting.seasonal_naive import SeasonalNaive
from tests.models.forecasting.forecasters import hourly

HORIZON = 24


def test_no_fit_and_no_forecast_sees_its_truth() -> None:
    seen: list[int] = []

    class Watches(SeasonalNaive):
        def forecast(self, series: Sequence[HourlySeries], horizon: int) -> Forecast:
            seen.extend(len(each.values) for each in series)
            return super().forecast(series, horizon)

    fitted: list[int] = []

    def fit(series: Sequence[HourlySeries]) -> Forecaster:
        fitted.extend(len(each.values) for each in series)
        return Watches()

    whole = hourly("a", 21)
    fold = held_out_week(HORIZON, 72, 6)
    found = roll([whole], {"naive": fit}, [fold], HORIZON)["a"]
    assert max(fitted) == min(seen)
    assert max(seen) + HORIZON == len(whole.values)
    for row, end in enumerate(seen):
        assert np.array_equal(found.truth[row], whole.values[end : end + HORIZON])
        assert np.array_equal(
            found.points["naive"][row], whole.values[end - 168 : end - 168 + HORIZON]
        )


def test_cutting_keeps_what_is_known_of_the_days_to_come() -> None:
    whole = hourly("a", 9)
    short = cut(whole, 24)
    assert len(short.values) == len(whole.values) - 24
    assert short.end == whole.end - 24 * 3600
    assert short.known is whole.known


def test_series_of_several_lengths_share_a_fold() -> None:
    series = [hourly("long", 30), hourly("short", 2), hourly("none", 0)]
    fits = {"naive": lambda _: SeasonalNaive()}
    found = roll(series, fits, [held_out_week(HORIZON, 168, 24)], HORIZON)
    assert np.isfinite(found["long"].truth).all()
    assert np.isnan(found["none"].truth).all()
    assert {each.truth.shape for each in found.values()} == {(7, HORIZON)}


def test_progress_is_heard() -> None:
    heard: list[float] = []
    fits = {"a": lambda _: SeasonalNaive(), "b": lambda _: SeasonalNaive()}
    folds = [held_out_week(HORIZON, 24, 24)]
    roll([hourly("a", 9)], fits, folds, HORIZON, heard=heard.append)
    assert heard == [0.5, 1.0]


def test_stretches_count_what_does_not_overlap() -> None:
    fits = {"a": lambda _: SeasonalNaive()}
    apart = roll([hourly("a", 20)], fits, [held_out_week(HORIZON, 7 * 24, 24)], HORIZON)
    near = roll([hourly("a", 20)], fits, [held_out_week(HORIZON, 24, 1)], HORIZON)
    assert apart["a"].stretches == 7
    assert near["a"].stretches < 2
