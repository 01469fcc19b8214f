"""Coverage at all times, against drift and heavy weights; and that it narrows."""

from dataclasses import dataclass

import numpy as np
import pytest

from benchmarks.quality.experiments.validity import ever_wrong
from models.optimization.evaluation.confidence_sequence import (
    STAKES,
    log_wealth,
    lower_bound,
)
from models.protocols import FloatArray


@dataclass(frozen=True)
class PlainScores:
    """Nonnegative, and as large as they like, as importance weights are."""

    values: FloatArray
    depth: float = 0.0

    def at(self, _cut: float) -> FloatArray:
        return self.values


@pytest.mark.parametrize("kind", ["coin", "rare", "drift", "heavy"])
def test_at_most_one_run_in_twenty_is_ever_wrong(kind: str) -> None:
    wrong, runs, steps = 0, 1_000, 400
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        means = np.full(steps, {"coin": 0.5, "rare": 0.02, "heavy": 0.5}.get(kind, 0.0))
        if kind == "drift":
            means = 0.5 + 0.45 * np.sin(np.arange(steps) / 30 + rng.uniform(0, 6))
        scores: FloatArray = (rng.random(steps) < means).astype(np.float64)
        if kind == "heavy":
            scores = np.where(rng.random(steps) < 0.01, 50.0, 0.0)
        wrong += ever_wrong(log_wealth(PlainScores(scores)), means, 0.05)
    assert wrong / runs <= 0.05


def test_the_bound_is_where_the_capital_reaches_what_the_risk_allows() -> None:
    scores = PlainScores(np.random.default_rng(1).random(300))
    bound, wealth = lower_bound(scores, 0.05), log_wealth(scores)
    for mean, reached in ((bound - 1e-6, True), (bound + 1e-6, False)):
        at_mean = float(np.exp(wealth[:, -1] - STAKES * 300 * mean).mean())
        assert (at_mean >= 20) is reached


@pytest.mark.parametrize("rows", [100, 1_000, 10_000])
def test_looking_at_any_time_costs_a_constant_factor(rows: int) -> None:
    """At most thrice the half-width of a normal interval for one look, however many rows."""
    values = (np.random.default_rng(3).random(rows) < 0.5).astype(np.float64)
    gap = values.mean() - lower_bound(PlainScores(values), 0.05)
    assert 0 < gap < 3 * 1.645 * 0.5 / np.sqrt(rows)


def test_less_noise_gives_a_tighter_bound() -> None:
    rng = np.random.default_rng(4)
    quiet, loud = rng.beta(50, 50, 2_000), rng.beta(0.5, 0.5, 2_000)
    gaps = [each.mean() - lower_bound(PlainScores(each), 0.05) for each in (quiet, loud)]
    assert gaps[0] < gaps[1] / 4


def test_a_guess_changes_little() -> None:
    values = PlainScores(np.random.default_rng(5).random(1_000))
    assert lower_bound(values, 0.05, 0.0) == pytest.approx(lower_bound(values, 0.05, 1.0), abs=0.01)
