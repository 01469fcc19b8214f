"""Wealth: fair under the hypothesis, counted exactly, and as published bounds have it."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, multinomial

from models.evidence.bets import Bank, differences, one_arm, pairs_of_hits, two_arms

N = 12


def expected_of_two(bank: Bank, low: float, high: float) -> float:
    """Sum the wealth after N requests of each arm over all that may come, by probability."""
    hits = np.arange(N + 1)
    counts = np.array([[a, N - a, b, N - b] for a, b in product(hits, hits)], dtype=float)
    chances = np.outer(binom.pmf(hits, N, low), binom.pmf(hits, N, high))
    return float(np.exp(bank.log_wealth(counts)) @ chances.ravel())


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5])
@pytest.mark.parametrize(("low", "high"), [(0.01, 0.012), (0.3, 0.4), (0.99, 0.995)])
def test_two_arms_at_the_hypothesis_win_nothing_on_average(
    low: float, high: float, share: float
) -> None:
    bank = two_arms(low, high, share)
    assert expected_of_two(bank, low, high) == pytest.approx(1.0, abs=1e-9)
    assert expected_of_two(bank, min(low * 1.3, 1.0), high * 0.7) < 1.0
    assert expected_of_two(bank, low * 0.3, min(high * 1.5, 1.0)) > 1.0


@pytest.mark.parametrize("direction", [1, -1])
def test_one_arm_at_the_hypothesis_wins_nothing_on_average(direction: int) -> None:
    hits = np.arange(N + 1.0)
    wealth = np.exp(one_arm(0.2, direction).log_wealth(np.stack([hits, N - hits], axis=1)))
    assert wealth @ binom.pmf(hits, N, 0.2) == pytest.approx(1.0)
    assert wealth @ binom.pmf(hits, N, 0.2 - direction * 0.1) < 1.0


@pytest.mark.parametrize("p", [0.01, 0.5])
def test_pairs_at_the_hypothesis_win_nothing_however_they_depend(p: float) -> None:
    bank = pairs_of_hits(p)
    for joint in (p, p * p, max(2 * p - 1, 0.0)):  # the same, independent, apart
        chances = [joint, p - joint, p - joint, 1 - 2 * p + joint]
        assert expected_of_kinds(bank, chances) == pytest.approx(1.0, abs=1e-9)
    assert expected_of_kinds(bank, [0.0, p, p / 2, 1 - 1.5 * p]) < 1.0


@pytest.mark.parametrize("direction", [1, -1])
def test_differences_at_the_hypothesis_win_nothing_on_average(direction: int) -> None:
    bank = differences(0.1, direction)
    assert expected_of_kinds(bank, [0.25, 0.15, 0.6]) == pytest.approx(1.0)
    inside = [0.2, 0.25, 0.55] if direction > 0 else [0.4, 0.15, 0.45]
    assert expected_of_kinds(bank, inside) < 1.0


def expected_of_kinds(bank: Bank, chances: list[float], n: int = 6) -> float:
    kinds = len(chances)
    counts = np.array([c for c in product(range(n + 1), repeat=kinds) if sum(c) == n], dtype=float)
    return float(np.exp(bank.log_wealth(counts)) @ multinomial.pmf(counts, n, chances))


def test_the_wealth_is_that_of_bettors_who_bet_request_by_request() -> None:
    rng = np.random.default_rng(3)
    arms, hits = rng.random(50) < 0.4, rng.random(50) < 0.3
    bank = two_arms(0.3, 0.32, 0.4)
    each = np.exp(bank.log_weights)
    for high, hit in zip(arms, hits, strict=True):
        each = each * np.exp(bank.pays[:, 2 * int(high) + int(not hit)])
    counts = [((arms == arm) & (hits == hit)).sum() for arm in (0, 1) for hit in (1, 0)]
    assert bank.log_wealth(np.array(counts, dtype=float)) == pytest.approx(np.log(each.sum()))


def test_nothing_is_bet_against_a_certainty() -> None:
    bank = two_arms(0.0, 1.0, 0.5)
    assert bank.log_wealth(np.array([3.0, 9.0, 5.0, 2.0])) == pytest.approx(0.0)


@given(shares=st.lists(st.floats(0, 1), min_size=1, max_size=20), high=st.booleans())
@settings(max_examples=50)
def test_a_share_of_a_hit_pays_no_more_than_a_bet_on_a_mean(shares: Any, high: bool) -> None:
    x = np.array(shares)
    bank = one_arm(0.3, 1 if high else -1)
    hit, miss = np.exp(bank.pays[:, 0]), np.exp(bank.pays[:, 1])
    linear = np.log(x[:, None] * hit + (1 - x[:, None]) * miss).sum(axis=0) + bank.log_weights
    counts = np.array([x.sum(), (1 - x).sum()])
    assert bank.log_wealth(counts) <= np.logaddexp.reduce(linear) + 1e-9


def test_the_boundary_is_about_that_of_a_published_mixture() -> None:
    # The one-sided beta-binomial mixture of Howard et al. (2021) for g = 0.2, h = 0.8, tuned to an
    # intrinsic time of 100, has its 5 % boundary there at 28.41238 (the tests of their confseq).
    n = round(100 / (0.2 * 0.8))
    surplus = np.arange(0.0, 60.0, 0.01)
    wealth = one_arm(0.2, 1).log_wealth(np.stack([0.2 * n + surplus, 0.8 * n - surplus], axis=1))
    boundary = surplus[np.argmax(wealth >= np.log(20))]
    assert 28.41238 < boundary < 28.41238 * 1.2  # a bank is tuned to no time, which has its price
