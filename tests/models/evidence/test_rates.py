"""Shares of two arms and of pairs, against every share that the incumbent might have."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from models.evidence.bets import two_arms
from models.evidence.rates import ArmsRate, PairsRate, bad_bank, good_bank, shares

COUNTS = st.tuples(*[st.integers(0, 3000)] * 4)


def arms(hits_and_misses: tuple[int, int, int, int], margin: float, share: float) -> ArmsRate:
    test = ArmsRate(margin, share)
    test.counts = np.array(hits_and_misses, dtype=float).reshape(2, 2)
    return test


@given(counts=COUNTS, theta=st.floats(0.0005, 0.97), share=st.sampled_from([0.05, 0.5]))
@settings(max_examples=60, deadline=None)
def test_the_evidence_is_no_more_than_against_any_share(
    counts: tuple[int, int, int, int], theta: float, share: float
) -> None:
    # In the first and the last cell nothing is bet on an arm whose share may be 0 or 1 there.
    margin = 0.01
    bad, good = arms(counts, margin, share).log_evidence()
    incumbent, candidate = np.array(counts[:2], float), np.array(counts[2:], float)
    exact = two_arms(theta, theta + margin, share)
    assert bad <= exact.log_wealth(np.concatenate([incumbent, candidate])) + 1e-9
    if theta + margin < 1:
        exact = two_arms(theta + margin, theta, 1 - share)
        assert good <= exact.log_wealth(np.concatenate([candidate, incumbent])) + 1e-9


def test_the_cells_cost_little() -> None:
    # 0.5 % of 20,000 violate, against 1.5 %: the least over shares a hundred times as many.
    counts = np.array([100.0, 19_900.0, 300.0, 19_700.0])
    fine = np.linspace(0, 0.05, 20_001)
    exact = two_arms(fine, fine + 0.002, 0.5).log_wealth(counts).min()
    assert arms((100, 19_900, 300, 19_700), 0.002, 0.5).log_evidence()[0] > exact - 1.5
    assert exact > 20


@pytest.mark.parametrize("margin", [0.0, 0.0005, 0.002, 0.3])
def test_the_cells_are_narrow_and_cover_all_shares(margin: float) -> None:
    ends = shares(margin)
    assert (ends[0], ends[-1]) == (0.0, 1.0)
    width = np.diff(ends)
    assert (width > 0).all()
    assert (width <= np.maximum(max(margin, 0.001) / 20, 0.0051 * ends[:-1]) * 1.01).all()
    assert bad_bank(margin, 0.5).pays.shape[0] >= good_bank(margin, 0.5).pays.shape[0] > 10


def test_candidates_at_the_margin_are_seldom_called_bad_and_seldom_good() -> None:
    rng, alpha, called = np.random.default_rng(4), 0.1, np.zeros(2)
    canaries = 60
    for _ in range(canaries):
        test, highest = ArmsRate(0.02, 0.5), np.zeros(2)
        for _ in range(25):
            candidate = rng.random(100) < 0.5
            hits = rng.random(100) < np.where(candidate, 0.12, 0.10)
            test.add(candidate, hits.astype(float), np.ones(100))
            highest = np.maximum(highest, test.log_evidence())
        called += highest >= -np.log(alpha)
    for count in called:
        assert binomtest(int(count), canaries, alpha, alternative="greater").pvalue > 0.001


def test_of_pairs_without_a_margin_only_those_count_that_differ() -> None:
    few, many = PairsRate(0.0), PairsRate(0.0)
    few.counts = np.array([9.0, 1.0, 0.0])
    many.counts = np.array([9.0, 1.0, 5000.0])
    assert few.log_evidence() == pytest.approx(many.log_evidence())
    assert few.log_evidence()[0] > 1.0 > few.log_evidence()[1]


def test_pairs_are_counted_as_they_come() -> None:
    test = PairsRate(0.01)
    incumbent, candidate = np.array([0, 0, 1, 1, 0.0]), np.array([1, 1, 0, 1, 0.0])
    test.add(incumbent, candidate, np.array([1, 1, 1, 1, 0.5]))
    assert test.counts.tolist() == [2.0, 1.0, 1.5]
    assert test.hits.tolist() == [2.0, 3.0]
