"""Means, against the paper's formulas written out one value at a time."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from models.evidence.margins import Mean
from models.evidence.means import ArmsMean, Bernstein, PairsMean

LOSS = Mean(name="loss", margin=0.1, low=-1.0, high=3.0)


def literal(values: list[float], alpha: float) -> tuple[float, float]:
    """Compute the confidence sequence's last interval as theorem 2 has it, without the clipping."""
    total = squares = 0.0
    mean, variance = 0.5, 0.25
    top = bottom = cost = 0.0
    for t, x in enumerate(values, start=1):
        bet = min(math.sqrt(2 * math.log(2 / alpha) / (variance * t * math.log(1 + t))), 0.5)
        top, bottom = top + bet * x, bottom + bet
        cost += 4 * (x - mean) ** 2 * (-math.log(1 - bet) - bet) / 4
        total += x
        mean = (0.5 + total) / (t + 1)
        squares += (x - mean) ** 2
        variance = (0.25 + squares) / (t + 1)
    half = (math.log(2 / alpha) + cost) / bottom
    return top / bottom - half, top / bottom + half


def test_the_interval_is_the_papers_whatever_the_batches() -> None:
    values = np.random.default_rng(6).beta(2, 5, 400)
    one, other = Bernstein(0.05), Bernstein(0.05)
    one.add(values)
    for piece in np.split(values, [1, 2, 50, 399]):
        other.add(piece)
    assert one.interval(0.05) == pytest.approx(literal(values.tolist(), 0.05))
    assert other.interval(0.05) == pytest.approx(one.interval(0.05))
    assert (other.n, Bernstein(0.05).interval(0.05)) == (400, (0.0, 1.0))


def test_the_mean_is_in_the_sequence_at_all_times() -> None:
    rng, runs, alpha = np.random.default_rng(7), 150, 0.1
    missed = 0
    for _ in range(runs):
        arm, out = Bernstein(alpha), False
        for _ in range(40):
            arm.add((rng.random(10) < 0.1).astype(float))
            lower, upper = arm.interval(alpha)
            out |= not lower <= 0.1 <= upper
        missed += out
    assert binomtest(missed, runs, alpha, alternative="greater").pvalue > 0.001


@pytest.mark.parametrize("shift", [-0.3, 0.1, 0.5])
def test_the_evidence_of_arms_is_the_least_over_all_means(shift: float) -> None:
    rng = np.random.default_rng(8)
    values = rng.normal(1, 0.3, 1000)
    candidate = rng.random(1000) < 0.3
    test = ArmsMean(LOSS, 0.05)
    test.add(candidate, values + shift * candidate)
    u = np.linspace(0, 1 - 0.025, 20_001)
    incumbent, other = test.arms
    a, b = incumbent.below(), other.above()
    bad = np.logaddexp(a[0] + a[1] * u, b[0] + b[1] * (u + 0.025)) - np.log(2)
    a, b = incumbent.above(), other.below()
    good = np.logaddexp(a[0] + a[1] * u, b[0] + b[1] * (u + 0.025)) - np.log(2)
    assert test.log_evidence() == pytest.approx((bad.min(), good.min()), abs=0.01)
    assert (test.log_evidence()[0] > 5, test.log_evidence()[1] > 5) == (shift > 0.2, shift < 0)


def test_an_arm_without_values_proves_nothing() -> None:
    test = ArmsMean(LOSS, 0.05)
    test.add(np.zeros(500, dtype=bool), np.full(500, 1.0))
    assert max(test.log_evidence()) <= 0


def test_pairs_know_sooner_than_arms() -> None:
    rng = np.random.default_rng(9)
    one = rng.uniform(-1, 3, 2000)
    other = np.clip(one + 0.3, -1, 3)
    pairs, arms = PairsMean(LOSS, 0.05), ArmsMean(LOSS, 0.05)
    pairs.add(one, other)
    candidate = np.arange(2000) % 2 == 1
    arms.add(candidate, np.where(candidate, other, one))
    assert pairs.log_evidence()[0] > 2 * max(arms.log_evidence()[0], 1.0)
    assert pairs.log_evidence()[1] < 0
