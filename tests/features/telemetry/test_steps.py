from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.telemetry.steps import step_means

MONDAY = 1_790_553_600  # 2026-09-28
DAY = 86_400


@pytest.mark.parametrize(("step", "rule"), [(300, "5min"), (3600, "1h"), (86_400, "1D")])
def test_means_are_those_of_pandas(step: int, rule: str) -> None:
    ts = MONDAY + 60 * np.arange(5000)
    values = np.random.default_rng(1).normal(size=5000)
    values[[7, 900, 901]] = np.nan
    begins, means = step_means(ts, values, step, int(ts[-1]) + 60)
    index: Any = pd.to_datetime(ts, unit="s")
    expected: Any = pd.Series(values, index).resample(rule).mean()
    whole = expected[expected.index + pd.Timedelta(rule) <= index[-1] + pd.Timedelta("1min")]
    assert begins.tolist() == whole.index.as_unit("s").asi8.tolist()
    np.testing.assert_allclose(means, whole.to_numpy(), rtol=1e-12)


def test_a_week_begins_on_monday() -> None:
    ts = MONDAY + 3600 * np.arange(24 * 14)
    begins, _ = step_means(ts, np.ones(len(ts)), 7 * DAY, MONDAY + 14 * DAY)
    assert begins.tolist() == [MONDAY, MONDAY + 7 * DAY]


def test_the_step_in_progress_is_left_out_and_a_thin_one_is_missing() -> None:
    ts = MONDAY + 60 * np.arange(150)
    values = np.ones(150)
    values[60:95] = np.nan
    begins, means = step_means(ts, values, 3600, MONDAY + 150 * 60)
    assert begins.tolist() == [MONDAY, MONDAY + 3600]
    assert means[0] == 1
    assert np.isnan(means[1])


def test_what_is_no_finer_stays_as_it_is() -> None:
    ts = MONDAY + 3600 * np.arange(5)
    values = np.arange(5.0)
    begins, means = step_means(ts, values, 3600, MONDAY + 5 * 3600)
    assert (begins.tolist(), means.tolist()) == (ts.tolist(), values.tolist())
    assert step_means(ts[:0], values[:0], 60, MONDAY)[0].size == 0


@pytest.mark.parametrize("step", [300, 3600])
@pytest.mark.parametrize("days_ago", [20, 1 / 12])
@pytest.mark.parametrize(("before", "since"), [(15, 60), (60, 15)])
def test_a_metric_may_change_its_cadence(
    step: int, days_ago: float, before: int, since: int
) -> None:
    change, end = MONDAY - int(days_ago * DAY), MONDAY
    ts = np.concatenate([np.arange(end - 30 * DAY, change, before), np.arange(change, end, since)])
    _, means = step_means(ts, np.ones(len(ts)), step, end)
    assert len(means) == 30 * DAY // step
    assert np.isfinite(means).all()


def test_one_hour_of_a_finer_source_hides_no_other() -> None:
    usual = np.arange(MONDAY - 59 * DAY, MONDAY, 60)
    finer = np.arange(MONDAY - 30 * DAY, MONDAY - 30 * DAY + 3600, 15)
    ts = np.unique(np.concatenate([usual, finer, [MONDAY - 3 * DAY + 1]]))
    _, means = step_means(ts, np.ones(len(ts)), 3600, MONDAY)
    assert len(means) == 59 * 24
    assert np.isfinite(means).all()


def test_rows_of_the_entitys_other_metrics_say_nothing_of_this_ones_cadence() -> None:
    ts = np.arange(MONDAY - 5 * DAY, MONDAY, 15)
    _, means = step_means(ts, np.where(ts % 60 == 0, 20.0, np.nan), 3600, MONDAY)
    assert means.tolist() == [20.0] * (5 * 24)


def test_two_values_that_are_left_of_an_hour_are_no_cadence() -> None:
    ts = MONDAY + 15 * np.arange(40 * 240)
    values = np.ones(len(ts))
    left = [20 * 240, 20 * 240 + 120]
    values[20 * 240 : 21 * 240] = np.nan
    values[left] = 1.0
    _, means = step_means(ts, values, 3600, MONDAY + 40 * 3600)
    assert np.flatnonzero(np.isnan(means)).tolist() == [20]


def test_a_step_that_a_source_fell_silent_in_counts_once_it_is_over() -> None:
    ts = MONDAY + 60 * np.arange(100)
    assert len(step_means(ts, np.ones(100), 3600, MONDAY + 7199)[0]) == 1
    begins, means = step_means(ts, np.ones(100), 3600, MONDAY + 7200)
    assert (begins[-1], means[-1]) == (MONDAY + 3600, 1.0)
