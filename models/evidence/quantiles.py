"""Tests of a quantile: of two arms, and of pairs.

The hypothesis "the candidate's quantile is at most c times the incumbent's" means that for one
value q, the incumbent's quantile, the incumbent exceeds q with a probability of at least 1 - p, and
the candidate exceeds c q with a probability of at most 1 - p. For a fixed q these are statements
about two shares, and q is unknown: the evidence is the least over all q. So no distribution is
assumed, no tail is too heavy, and no error is spent on the values that q might have had.

Howard and Ramdas, Sequential estimation of quantiles with applications to A/B testing and
best-arm identification (Bernoulli, 2022), compare two arms by two intervals, each of which has
half of the error; here the two arms' wealth is multiplied before the least is taken.

Values below the lowest threshold are all the same, as are those above the highest. So where the
incumbent's quantile is above the highest, no candidate's is worse; and none that is below the
lowest is worse than any. For a good verdict the two outermost cells are left out.
"""

from typing import Any, Self

import numpy as np

from models.evidence.bets import Bank, Floats, observed, pairs_of_hits, two_arms
from models.evidence.margins import Quantile
from models.evidence.thresholds import cells, exceeding, thresholds
from models.protocols import BoolArray, IntArray


class ArmsQuantile:
    """A quantile of two arms; kept are two histograms, the candidate's of values over c."""

    def __init__(self, metric: Quantile, share: float) -> None:
        self.edges = thresholds(metric.low, metric.high, metric.margin)
        self._factor = 1 + metric.margin
        # Exceeding the quantile is the hit, so its share is 1 - p.
        self.bad = two_arms(1 - metric.p, 1 - metric.p, share)
        self.good = two_arms(1 - metric.p, 1 - metric.p, 1 - share)
        self.histograms = np.zeros((2, self.edges.size + 1))

    def add(self, candidate: BoolArray, values: Floats, weights: Floats) -> None:
        for arm, chosen in enumerate((~candidate, candidate)):
            scaled = values[chosen] / (self._factor if arm else 1.0)
            found = cells(self.edges, scaled)
            self.histograms[arm] += np.bincount(found, weights[chosen], self.edges.size + 1)

    def log_evidence(self) -> tuple[float, float]:
        """Give the logarithms of the evidence for bad and for good."""
        return self.log_evidence_of(0)

    def log_evidence_of(self, steps: int) -> tuple[float, float]:
        """Give the evidence with a factor in c's place that is so many thresholds larger."""
        incumbent, candidate = exceeding(self.histograms[0]), exceeding(self._moved(steps))
        bad = self.bad.log_wealth(two_arm_counts(incumbent, candidate))
        good = self.good.log_wealth(two_arm_counts(candidate, incumbent))
        return float(bad.min()), float(told_apart(good).min())

    def _moved(self, steps: int) -> Floats:
        """Divide the candidate's values by more; what is beyond both ends stays beyond them."""
        last = self.edges.size
        found = np.clip(np.arange(last + 1) - steps, 0, last)
        found[[0, last]] = 0, last
        return np.bincount(found, self.histograms[1], last + 1).astype(np.float64)

    def to_json(self) -> dict[str, Any]:
        return {"histograms": [sparse(each) for each in self.histograms]}

    def restore(self, kept: dict[str, Any]) -> Self:
        self.histograms = np.stack(
            [dense(each, self.edges.size + 1) for each in kept["histograms"]]
        )
        return self


class PairsQuantile:
    """A quantile of both answers to the same requests.

    Kept are also histograms of how far both answers of a pair exceed the thresholds.
    """

    def __init__(self, metric: Quantile) -> None:
        self.edges = thresholds(metric.low, metric.high, metric.margin)
        self._factor = 1 + metric.margin
        self.bank = pairs_of_hits(1 - metric.p)
        self.histograms = np.zeros((2, self.edges.size + 1))
        self._both = np.zeros((2, self.edges.size + 1))  # for bad, for good

    def add(self, incumbent: Floats, candidate: Floats, weights: Floats) -> None:
        a, b = cells(self.edges, incumbent), cells(self.edges, candidate / self._factor)
        size = self.edges.size + 1
        for at, found in enumerate((a, b)):
            self.histograms[at] += np.bincount(found, weights, size)
        for at, found in enumerate((both(a, b), both(b, a))):
            known = found >= 0
            self._both[at] += np.bincount(found[known], weights[known], size)

    def log_evidence(self) -> tuple[float, float]:
        """Give the logarithms of the evidence for bad and for good."""
        incumbent, candidate = map(exceeding, self.histograms)
        for_bad, for_good = map(exceeding, self._both)
        bad = pair_wealth(self.bank, incumbent, candidate, for_bad)
        good = pair_wealth(self.bank, candidate, incumbent, for_good)
        return float(bad.min()), float(told_apart(good).min())

    def to_json(self) -> dict[str, Any]:
        return {
            "histograms": [sparse(each) for each in self.histograms],
            "both": [sparse(each) for each in self._both],
        }

    def restore(self, kept: dict[str, Any]) -> Self:
        size = self.edges.size + 1
        self.histograms = np.stack([dense(each, size) for each in kept["histograms"]])
        self._both = np.stack([dense(each, size) for each in kept["both"]])
        return self


def two_arm_counts(low: Floats, high: Floats) -> Floats:
    """Count for each cell: the lower arm at the cell's lower end, the higher at its upper end.

    Both are counts of values that exceed each threshold, the first being below all values.
    """
    return observed(low[:-1], low[0] - low[:-1], high[1:], high[0] - high[1:])


def both(low: IntArray, high: IntArray) -> IntArray:
    """Say up to which cell both exceed their ends of it; -1 for none."""
    return np.minimum(low, high - 1)


def pair_wealth(bank: Bank, low: Floats, high: Floats, joint: Floats) -> Floats:
    """Give the wealth for each cell."""
    x, y, xy = low[:-1], high[1:], joint[:-1]
    return bank.log_wealth(observed(xy, x - xy, y - xy, low[0] - x - y + xy))


def told_apart(wealth: Floats) -> Floats:
    """Leave the outermost cells out, in which a candidate could not be worse."""
    inner = wealth.copy()
    inner[0] = inner[-1] = np.inf
    return inner


def sparse(histogram: Floats) -> dict[str, float]:
    """Write only the cells that hold something."""
    return {str(at): float(histogram[at]) for at in np.flatnonzero(histogram)}


def dense(kept: dict[str, float], size: int) -> Floats:
    histogram = np.zeros(size)
    for at, count in kept.items():
        histogram[int(at)] = count
    return histogram
