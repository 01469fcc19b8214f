"""The quantile of scores: conformal within the sample, ever wider beyond it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.conformal import conformal_quantile
from models.online.score_quantile import score_quantile

SAMPLES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300)


@given(scores=SAMPLES, shares=st.tuples(st.floats(-2, 2), st.floats(-2, 2)))
def test_a_smaller_share_never_lowers_it(scores: list[float], shares: tuple[float, float]) -> None:
    ascending = np.sort(scores)
    small, large = (score_quantile(ascending, share) for share in sorted(shares))
    assert small >= large - 1e-9 * (1 + abs(large))


@given(size=st.integers(1, 200), rank=st.integers(1, 200))
def test_at_a_rank_it_is_the_conformal_quantile(size: int, rank: int) -> None:
    rank = min(rank, size)
    scores = np.sort(np.random.default_rng(size).normal(size=size))
    level = rank / (size + 1)
    exact = conformal_quantile(scores, level)
    assert score_quantile(scores, 1 - level) == pytest.approx(exact, abs=1e-9)


def test_beyond_the_largest_it_follows_an_exponential_tail_and_then_a_line() -> None:
    scores = np.sort(np.random.default_rng(1).exponential(size=5_000))
    beyond = score_quantile(scores, 0.5 / 5_001)
    assert beyond - scores[-1] == pytest.approx(np.log(2), rel=0.15)
    wide = [score_quantile(scores, share) for share in (0.0, -0.1, -0.2)]
    assert wide[2] - wide[1] == pytest.approx(wide[1] - wide[0])
    assert wide[1] - wide[0] == pytest.approx(500, rel=0.15)
