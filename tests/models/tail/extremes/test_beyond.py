"""The conformal bound: the sample's own within the data, its promise kept beyond them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from models.conformal import conformal_quantile
from models.errors import CalibrationError
from models.tail.extremes.beyond import upper_bound


@given(size=st.integers(30, 300), level=st.floats(0.5, 0.95))
def test_within_the_data_it_is_the_conformal_quantile(size: int, level: float) -> None:
    scores = np.random.default_rng(size).normal(size=size)
    bound = upper_bound(scores, level)
    assert not bound.beyond_data
    assert bound.value == conformal_quantile(scores, level)


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.3, 0.7])
@pytest.mark.parametrize(("size", "level"), [(300, 0.998), (500, 0.999)])
def test_beyond_them_it_is_exceeded_as_often_as_it_says(
    shape: float, size: int, level: float
) -> None:
    """The promise is on average over samples; a plugged-in fit is exceeded half as often again."""
    law = stats.genpareto(shape)
    bounds = [
        upper_bound(law.rvs(size=size, random_state=seed), level).value for seed in range(250)
    ]
    assert 0.6 < np.mean(law.sf(bounds)) / (1 - level) < 1.25


@given(seed=st.integers(0, 500), size=st.integers(60, 400))
@settings(max_examples=40, deadline=None)
def test_it_rises_with_the_level_and_lies_over_the_scores(seed: int, size: int) -> None:
    scores = np.random.default_rng(seed).standard_t(4, size)
    bounds = [upper_bound(scores, level).value for level in (0.9, 0.99, 0.999, 0.9999, 1 - 1e-6)]
    assert bounds == sorted(bounds)
    assert bounds[-1] > scores.max()
    assert np.isfinite(bounds).all()


def test_what_says_nothing_about_a_tail_is_refused_in_words() -> None:
    with pytest.raises(CalibrationError, match="20 scores are too few"):
        upper_bound(np.arange(20.0), 0.999)
    with pytest.raises(CalibrationError, match="alike"):
        upper_bound(np.append(np.arange(100.0), np.full(100, 100.0)), 0.9999)
    with pytest.raises(CalibrationError, match="between 0 and 1"):
        upper_bound(np.arange(100.0), 1.0)
