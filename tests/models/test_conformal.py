from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import mean_pinball_loss

from models.conformal import conformal_quantile, coverage, cqr_scores, pinball, widen
from models.errors import CalibrationError

FINITE = st.floats(-1e6, 1e6)
SAMPLES = st.integers(30, 200).flatmap(lambda n: arrays(np.float64, n, elements=FINITE))


@given(SAMPLES, st.sampled_from([0.5, 0.55, 0.8, 0.9, 0.95]))
def test_the_quantile_is_the_least_score_that_enough_scores_reach(
    scores: Any, level: float
) -> None:
    percent = round(level * 100)
    needed = -(-(scores.size + 1) * percent // 100)  # exact: whole numbers only
    found = conformal_quantile(scores, level)
    assert (scores <= found).sum() >= needed
    assert (scores < found).sum() < needed


def test_too_few_scores_are_refused_with_the_number_it_takes() -> None:
    with pytest.raises(CalibrationError, match="at least 9"):
        conformal_quantile(np.zeros(8), 0.9)
    assert conformal_quantile(np.arange(9.0), 0.9) == 8.0


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, np.nan])
def test_a_level_that_is_none_is_refused(level: float) -> None:
    with pytest.raises(CalibrationError, match="not between 0 and 1"):
        conformal_quantile(np.arange(50.0), level)


def test_coverage_over_many_calibrations_is_what_the_theorem_says() -> None:
    # Over calibration sets of n the mean coverage is ceil((n + 1) .9) / (n + 1): 46 / 51 for 50.
    rng = np.random.default_rng(2)
    shares = []
    for _ in range(2_000):
        truth = rng.standard_normal(550)
        lower, upper = np.full(550, -0.4), np.full(550, 0.7)
        offset = conformal_quantile(cqr_scores(lower[:50], upper[:50], truth[:50]), 0.9)
        shares.append(coverage(*widen(lower[50:], upper[50:], offset), truth[50:]))
    assert abs(np.mean(shares) - 46 / 51) < 0.003


@given(SAMPLES, st.floats(-1e3, 1e3))
def test_a_widened_interval_is_still_an_interval(lower: Any, offset: float) -> None:
    upper = lower + np.abs(lower)
    low, high = widen(lower, upper, offset)
    assert (low <= high).all()
    if offset >= 0:
        assert (low <= lower).all()
        assert (high >= upper).all()


@given(SAMPLES, st.sampled_from([0.05, 0.5, 0.999]))
def test_pinball_is_scikit_learns(truth: Any, level: float) -> None:
    quantile = truth[::-1].copy()
    expected = mean_pinball_loss(truth, quantile, alpha=level)
    assert pinball(quantile, truth, level) == pytest.approx(expected, rel=1e-9, abs=1e-9)
