"""Quantiles of two arms and of pairs, against every value that the incumbent's might have."""

import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import binomtest

from models.evidence.bets import Bank, Floats, pairs_of_hits, two_arms
from models.evidence.margins import Quantile
from models.evidence.quantiles import ArmsQuantile, PairsQuantile
from models.evidence.thresholds import cells, thresholds

P90 = Quantile(name="latency", p=0.9, margin=0.1, low=0.1, high=1000.0)


def drawn(seed: int, size: int, factor: float = 1.0) -> tuple[Floats, Floats]:
    """Draw two answers to each request, which have much in common."""
    rng = np.random.default_rng(seed)
    shared = 0.4 * rng.standard_normal(size)
    one, other = (np.exp(2 + shared + 0.2 * rng.standard_normal(size)) for _ in range(2))
    return one, other * factor


def arms(one: Floats, other: Floats, candidate: np.ndarray) -> ArmsQuantile:
    test = ArmsQuantile(P90, 0.5)
    test.add(candidate, np.where(candidate, other, one), np.ones(one.size))
    return test


@pytest.mark.parametrize("factor", [1.0, 1.1, 2.0])
def test_the_evidence_of_arms_is_no_more_than_against_any_value(factor: float) -> None:
    one, other = drawn(1, 3000, factor)
    candidate = np.arange(3000) % 2 == 1
    a, b = one[~candidate], other[candidate]
    bad, good = arms(one, other, candidate).log_evidence()
    bank = two_arms(0.1, 0.1, 0.5)
    for q in np.concatenate([np.geomspace(0.1, 1000, 101), np.quantile(one, [0.8, 0.9, 0.95])]):
        # P(A >= q) >= 0.1 and P(B > c q) <= 0.1, or P(A > q) <= 0.1 and P(B > c q) >= 0.1
        x, y = (a >= q).sum(), (b > 1.1 * q).sum()
        counts = np.array([x, a.size - x, y, b.size - y], dtype=float)
        assert bad <= bank.log_wealth(counts) + 1e-9
        x, y = (a > q).sum(), (b > 1.1 * q).sum()
        counts = np.array([y, b.size - y, x, a.size - x], dtype=float)
        assert good <= bank.log_wealth(counts) + 1e-9


@pytest.mark.parametrize("factor", [1.0, 1.1, 2.0])
def test_the_evidence_of_pairs_is_no_more_than_against_any_value(factor: float) -> None:
    one, other = drawn(2, 2000, factor)
    test = PairsQuantile(P90)
    test.add(one, other, np.ones(one.size))
    bad, good = test.log_evidence()
    bank = pairs_of_hits(0.1)
    for q in np.concatenate([np.geomspace(0.1, 1000, 101), np.quantile(one, [0.8, 0.9, 0.95])]):
        at_least, above, y = one >= q, one > q, other > 1.1 * q
        assert bad <= bank.log_wealth(kinds(at_least, y)) + 1e-9
        assert good <= bank.log_wealth(kinds(y, above)) + 1e-9


def kinds(x: np.ndarray, y: np.ndarray) -> Floats:
    return np.array([(x & y).sum(), (x & ~y).sum(), (~x & y).sum(), (~x & ~y).sum()], dtype=float)


def test_a_candidate_that_is_twice_as_slow_is_bad_and_one_that_is_faster_good() -> None:
    candidate = np.arange(4000) % 2 == 1
    assert arms(*drawn(3, 4000, 2.0), candidate).log_evidence()[0] > 20
    assert arms(*drawn(3, 4000, 0.8), candidate).log_evidence()[1] > 20


def test_pairs_know_sooner_than_arms() -> None:
    one, other = drawn(4, 3000, 1.4)
    pairs = PairsQuantile(P90)
    pairs.add(one, other, np.ones(one.size))
    known = arms(one, other, np.arange(3000) % 2 == 1).log_evidence()[0]
    assert pairs.log_evidence()[0] > 2 * known > 0


def test_candidates_at_the_margin_are_seldom_called_bad_and_seldom_good() -> None:
    rng, alpha, called = np.random.default_rng(5), 0.1, np.zeros((2, 2))
    canaries = 40
    for _ in range(canaries):
        tests, highest = (ArmsQuantile(P90, 0.5), PairsQuantile(P90)), np.zeros((2, 2))
        for _ in range(20):
            one, other = drawn(int(rng.integers(1 << 30)), 100, 1.1)
            candidate = rng.random(100) < 0.5
            tests[0].add(candidate, np.where(candidate, other, one), np.ones(100))
            tests[1].add(one, other, np.ones(100))
            highest = np.maximum(highest, [test.log_evidence() for test in tests])
        called += highest >= -np.log(alpha)
    for count in called.ravel():
        assert binomtest(int(count), canaries, alpha, alternative="greater").pvalue > 0.001


def test_values_beyond_the_thresholds_are_counted_too() -> None:
    one = np.full(500, 1e-9)
    candidate = np.arange(500) % 2 == 1
    assert arms(one, np.full(500, 1e9), candidate).log_evidence()[0] > 20
    assert arms(one, one, candidate).log_evidence()[0] <= 0


@pytest.mark.parametrize("value", [1e-9, 1e9])
def test_values_that_nobody_can_tell_apart_are_no_worse(value: float) -> None:
    same = np.full(500, value)
    candidate = np.arange(500) % 2 == 1
    pairs = PairsQuantile(P90)
    pairs.add(same, same, np.ones(500))
    for bad, good in (arms(same, same, candidate).log_evidence(), pairs.log_evidence()):
        assert bad <= 0
        assert good > 5


def test_the_thresholds_are_ten_to_a_margin() -> None:
    edges = thresholds(0.1, 1000.0, 0.1)
    assert edges[10] / edges[0] == pytest.approx(1.1)
    assert edges[-1] >= 1000.0
    values = np.array([0.05, 0.1, 0.1001, 1e9])
    assert cells(edges, values).tolist() == [0, 0, 1, edges.size]
    with pytest.raises(ValueError, match="choose a larger margin"):
        thresholds(1e-9, 1e9, 0.001)


TIMES_WORSE = 1.2 / 1.05  # than the margin
TAILS = {
    "lognormal": lambda factor: ndtr(ndtri(0.01) - np.log(factor) / 0.5),
    "wide lognormal": lambda factor: ndtr(ndtri(0.01) - np.log(factor)),
    "Pareto": lambda factor: 0.01 * factor**-2.0,
}


def alike(x: Floats, y: Floats, correlation: float) -> Floats:
    """Give the shares of each kind of pair, of normal values that correlate so."""
    shared = np.linspace(-8, 8, 801)
    density = np.exp(-(shared**2) / 2) / np.sqrt(2 * np.pi) * (shared[1] - shared[0])
    one, other = (
        ndtr((ndtri(each)[:, None] + np.sqrt(correlation) * shared) / np.sqrt(1 - correlation))
        for each in (x, y)
    )
    both = one * other @ density
    return np.stack([both, x - both, y - both, 1 - x - y + both], axis=1)


def requests_until(limit: float, bank: Bank, shares: Floats) -> float:
    """Count the requests after which the least wealth is so much, if all comes as expected."""
    sizes = np.geomspace(100, 1e6, 300)
    wealth = np.array([bank.log_wealth(shares * size).min() for size in sizes])
    return float(sizes[np.argmax(wealth >= limit)])


@pytest.mark.parametrize("tail", TAILS)
def test_pairs_need_far_fewer_requests_than_arms_whatever_the_tail(tail: str) -> None:
    around = np.exp(np.arange(-0.3, 0.6, 0.005))
    x, y = TAILS[tail](around), TAILS[tail](around / TIMES_WORSE)
    limit = np.log(60)
    pairs = requests_until(limit, pairs_of_hits(0.01), alike(x, y, 0.9))
    of_arms = np.stack([x, 1 - x, y, 1 - y], axis=1) / 2
    # Chance costs pairs more than arms: of fewer requests it is less known where the quantile is.
    assert requests_until(limit, two_arms(0.01, 0.01, 0.5), of_arms) > 4.5 * pairs
