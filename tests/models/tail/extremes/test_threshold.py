"""The rule for the threshold: low where the law holds from low on, high where it does not."""

import numpy as np
import pytest
from scipy import stats

from models.errors import TrainingDataError
from models.tail.extremes.threshold import CANDIDATES, choose_threshold


def test_a_law_that_holds_everywhere_mostly_gets_a_low_threshold() -> None:
    chosen = [
        choose_threshold(stats.genpareto.rvs(0.1, size=2_000, random_state=seed)).quantile
        for seed in range(30)
    ]
    assert np.median(chosen) <= CANDIDATES[1]


def test_a_law_that_starts_high_gets_a_threshold_there() -> None:
    """Uniform up to its 95 % quantile, a heavy tail above."""
    chosen = []
    for seed in range(20):
        body = np.random.default_rng(seed).uniform(0, 1, 9_500)
        tail = 1 + stats.genpareto.rvs(0.3, scale=0.5, size=500, random_state=seed)
        chosen.append(choose_threshold(np.concatenate([body, tail])).quantile)
    assert np.median(chosen) >= 0.94


def test_the_diagrams_show_a_straight_mean_excess_and_a_level_scale() -> None:
    values = stats.genpareto.rvs(0.2, scale=3, size=50_000, random_state=1)
    choice = choose_threshold(values)
    straight = (3 + 0.2 * choice.thresholds) / (1 - 0.2)
    assert np.all(np.abs(choice.mean_excess - straight) < 4 * choice.mean_excess_error)
    assert np.all(np.abs(choice.shape - 0.2) < 4 * choice.shape_error)
    assert np.all(np.abs(choice.modified_scale - 3) < 4 * choice.modified_scale_error)
    assert choice.stable
    assert choice.threshold == np.quantile(values, choice.quantile)


def test_candidates_with_too_few_exceedances_are_left_out() -> None:
    values = np.random.default_rng(1).exponential(size=500)
    choice = choose_threshold(values)
    assert choice.quantiles.max() < 0.93
    assert choice.exceedances.min() >= 40


def test_too_short_a_series_is_refused_in_words() -> None:
    with pytest.raises(TrainingDataError, match="no candidate threshold leaves 40 of 200"):
        choose_threshold(np.random.default_rng(1).exponential(size=200))
    with pytest.raises(TrainingDataError, match="constant"):
        choose_threshold(np.ones(5_000))
