from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.telemetry.steps import step_means

MONDAY = 1_790_553_600  # 2026-09-28


@pytest.mark.parametrize(("step", "rule"), [(300, "5min"), (3600, "1h"), (86_400, "1D")])
def test_means_are_those_of_pandas(step: int, rule: str) -> None:
    ts = MONDAY + 60 * np.arange(5000)
    values = np.random.default_rng(1).normal(size=5000)
    values[[7, 900, 901]] = np.nan
    begins, means = step_means(ts, values, step)
    index: Any = pd.to_datetime(ts, unit="s")
    expected: Any = pd.Series(values, index).resample(rule).mean()
    whole = expected[expected.index + pd.Timedelta(rule) <= index[-1] + pd.Timedelta("1min")]
    assert begins.tolist() == whole.index.as_unit("s").asi8.tolist()
    np.testing.assert_allclose(means, whole.to_numpy(), rtol=1e-12)


def test_a_week_begins_on_monday() -> None:
    ts = MONDAY + 3600 * np.arange(24 * 14)
    begins, _ = step_means(ts, np.ones(len(ts)), 7 * 86_400)
    assert begins.tolist() == [MONDAY, MONDAY + 7 * 86_400]


def test_the_step_in_progress_is_left_out_and_a_thin_one_is_missing() -> None:
    ts = MONDAY + 60 * np.arange(150)
    values = np.ones(150)
    values[60:95] = np.nan
    begins, means = step_means(ts, values, 3600)
    assert begins.tolist() == [MONDAY, MONDAY + 3600]
    assert means[0] == 1
    assert np.isnan(means[1])


def test_what_is_no_finer_stays_as_it_is() -> None:
    ts = MONDAY + 3600 * np.arange(5)
    values = np.arange(5.0)
    begins, means = step_means(ts, values, 3600)
    assert (begins.tolist(), means.tolist()) == (ts.tolist(), values.tolist())
    assert step_means(ts[:0], values[:0], 60)[0].size == 0
