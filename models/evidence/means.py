"""Tests of a mean of values between two ends, by the empirical-Bernstein confidence sequence.

Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting (JRSS B, 2024),
theorem 2: with x_i in [0, 1], v_i = 4 (x_i - m_(i-1))^2 and psi(l) = (-log(1 - l) - l) / 4,

    exp( sum l_i (x_i - mean) - v_i psi(l_i) )

is a supermartingale for every l_i in [0, 1) that is chosen before x_i is seen. Here l_i is theirs:
sqrt(2 log(2 / alpha) / (s_(i-1)^2 i log(1 + i))), at most 1/2, m and s^2 being the running mean and
variance. The same holds with both signs turned, so that means are tested from below and above.
"""

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from models.evidence.bets import Floats
from models.evidence.margins import Mean
from models.protocols import BoolArray

_MOST = 0.5


@dataclass
class Bernstein:
    """One arm's sums; the order of the values counts, the batches they come in do not."""

    alpha: float
    n: int = 0
    total: float = 0.0
    squares: float = 0.0
    weighted: float = 0.0  # sum of l x
    bets: float = 0.0  # sum of l
    cost: float = 0.0  # sum of v psi(l)

    def add(self, x: Floats) -> None:
        if not x.size:
            return
        i = self.n + 1.0 + np.arange(x.size)
        totals = self.total + np.cumsum(x)
        means = (0.5 + totals) / (i + 1)
        squares = self.squares + np.cumsum((x - means) ** 2)
        before = np.concatenate([[(0.5 + self.total) / (self.n + 1)], means[:-1]])
        variance = (0.25 + np.concatenate([[self.squares], squares[:-1]])) / i
        bet = np.minimum(np.sqrt(2 * np.log(2 / self.alpha) / (variance * i * np.log1p(i))), _MOST)
        self.weighted += float(bet @ x)
        self.bets += float(bet.sum())
        self.cost += float((x - before) ** 2 @ (-np.log1p(-bet) - bet))  # 4 psi: the 4 of v
        self.n += x.size
        self.total, self.squares = float(totals[-1]), float(squares[-1])

    def interval(self, alpha: float) -> tuple[float, float]:
        """Give the confidence sequence's present ends."""
        if not self.n:
            return 0.0, 1.0
        middle, half = self.weighted / self.bets, (np.log(2 / alpha) + self.cost) / self.bets
        return float(max(middle - half, 0.0)), float(min(middle + half, 1.0))

    def above(self) -> tuple[float, float]:
        """Give a, b: "the mean is at most u" has the log wealth a + b u."""
        return self.weighted - self.cost, -self.bets

    def below(self) -> tuple[float, float]:
        """Give a, b: "the mean is at least u" has the log wealth a + b u."""
        return -self.weighted - self.cost, self.bets


class ArmsMean:
    """The mean of two arms. The evidence is the least over all means that the incumbent may have.

    For each of them it is the average of the two arms' wealth: their product has no such least.
    """

    def __init__(self, metric: Mean, alpha: float) -> None:
        self._metric = metric
        self._margin = metric.margin / (metric.high - metric.low)
        self.arms = Bernstein(alpha), Bernstein(alpha)

    def add(self, candidate: BoolArray, values: Floats) -> None:
        scaled = scale(self._metric, values)
        for arm, chosen in zip(self.arms, (~candidate, candidate), strict=True):
            arm.add(scaled[chosen])

    def log_evidence(self) -> tuple[float, float]:
        """Give the logarithms of the evidence for bad and for good."""
        incumbent, candidate = self.arms
        margin, top = self._margin, 1 - self._margin
        return (
            _least(incumbent.below(), _moved(candidate.above(), margin), top),
            _least(_moved(candidate.below(), margin), incumbent.above(), top),
        )

    def to_json(self) -> dict[str, Any]:
        return {"arms": [asdict(arm) for arm in self.arms]}

    def restore(self, kept: dict[str, Any]) -> Self:
        incumbent, candidate = (Bernstein(**each) for each in kept["arms"])
        self.arms = incumbent, candidate
        return self


class PairsMean:
    """The mean of the differences of pairs, which lie between -1 and 1 times the range."""

    def __init__(self, metric: Mean, alpha: float) -> None:
        self._metric = metric
        self._middle = (1 + metric.margin / (metric.high - metric.low)) / 2
        self._differences = Bernstein(alpha)
        self.arms = Bernstein(alpha), Bernstein(alpha)

    def add(self, incumbent: Floats, candidate: Floats) -> None:
        a, b = scale(self._metric, incumbent), scale(self._metric, candidate)
        self._differences.add((1 + b - a) / 2)
        for arm, values in zip(self.arms, (a, b), strict=True):
            arm.add(values)

    def log_evidence(self) -> tuple[float, float]:
        """Give the logarithms of the evidence for bad and for good."""
        bad, good = self._differences.above(), self._differences.below()
        return bad[0] + bad[1] * self._middle, good[0] + good[1] * self._middle

    def to_json(self) -> dict[str, Any]:
        return {
            "differences": asdict(self._differences),
            "arms": [asdict(arm) for arm in self.arms],
        }

    def restore(self, kept: dict[str, Any]) -> Self:
        self._differences = Bernstein(**kept["differences"])
        incumbent, candidate = (Bernstein(**each) for each in kept["arms"])
        self.arms = incumbent, candidate
        return self


def scale(metric: Mean, values: Floats) -> Floats:
    """Bring the values to [0, 1]; what is beyond an end is counted as the end."""
    scaled: Floats = np.clip((values - metric.low) / (metric.high - metric.low), 0.0, 1.0)
    return scaled


def _moved(line: tuple[float, float], margin: float) -> tuple[float, float]:
    return line[0] + line[1] * margin, line[1]


def _least(rising: tuple[float, float], falling: tuple[float, float], top: float) -> float:
    """Find the least of log((e^rising(u) + e^falling(u)) / 2) for u between 0 and top."""
    (a, b), (c, d) = rising, falling
    if not (b and d):  # an arm without values says nothing: its wealth stays 1
        at = 0.0 if b else top
    else:
        at = float(np.clip((c - a + np.log(-d / b)) / (b - d), 0.0, top))
    return float(np.logaddexp(a + b * at, c + d * at) - np.log(2))
