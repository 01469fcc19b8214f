import numpy as np
import pytest
from scipy.stats import binom

from deployments.impact.shares import LEVEL, share_interval


@pytest.mark.parametrize(("hits", "drawn"), [(0, 40), (1, 40), (13, 40), (39, 40), (40, 40)])
def test_the_limits_are_those_at_which_what_was_seen_is_just_as_rare_as_stated(
    hits: int, drawn: int
) -> None:
    low, high = share_interval(hits, drawn, 10_000)
    tail = (1 - LEVEL) / 2
    assert low <= hits / drawn <= high
    if hits:
        assert binom.sf(hits - 1, drawn, low) == pytest.approx(tail)
    if hits < drawn:
        assert binom.cdf(hits, drawn, high) == pytest.approx(tail)


def test_of_all_there_is_nothing_to_be_unsure_of() -> None:
    assert share_interval(3, 12, 12) == (0.25, 0.25)
    assert share_interval(0, 0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("share", [0.002, 0.03, 0.4])
def test_of_a_thousand_samples_at_most_one_in_twenty_misses(share: float) -> None:
    draw = np.random.default_rng(3)
    among, drawn = 20_000, 500
    hits = draw.hypergeometric(int(share * among), among - int(share * among), drawn, 1_000)
    missed = 0
    for each in hits.tolist():
        low, high = share_interval(each, drawn, among)
        missed += not low <= share <= high
    # As many as come out of a rate of one in twenty in all but one of a thousand tries.
    assert missed <= binom.ppf(0.999, 1_000, 1 - LEVEL)
