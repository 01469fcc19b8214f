"""Tests of a share of requests: of two arms, and of pairs.

Of two arms neither share is known. The hypothesis "the candidate's share is at most the incumbent's
plus a margin" holds if it holds for the incumbent's true share, whichever that is: so the evidence
is the least over all shares it might be, and no error is spent on not knowing it. The shares are
taken in cells, and each arm is tested at that end of the cell which speaks for the hypothesis.

Of pairs only those matter in which the two answers differ (McNemar 1947).
"""

from functools import lru_cache
from typing import Any, Self

import numpy as np

from models.evidence.bets import Bank, Floats, differences, two_arms
from models.protocols import BoolArray

_SMALLEST_MARGIN = 0.001  # in units of which the cells are narrow where the margin is 0
_CELLS_A_MARGIN = 20
_RELATIVE_WIDTH = 0.005


@lru_cache(maxsize=64)
def shares(margin: float) -> Floats:
    """Give the ends of the cells: a 20th of the margin wide, or 0.5 % of the share if wider."""
    narrow = max(margin, _SMALLEST_MARGIN) / _CELLS_A_MARGIN
    turn = min(narrow / _RELATIVE_WIDTH, 1.0)
    even = np.linspace(0.0, turn, int(np.ceil(turn / narrow)) + 1)
    more = int(np.ceil(np.log(1 / turn) / np.log1p(_RELATIVE_WIDTH)))
    ends: Floats = np.concatenate([even, np.geomspace(turn, 1.0, more + 1)[1:]])
    ends.setflags(write=False)
    return ends


@lru_cache(maxsize=64)
def bad_bank(margin: float, share: float) -> Bank:
    """Bet that the candidate is worse by more than the margin, for each cell."""
    return _worse(shares(margin), margin, share)


@lru_cache(maxsize=64)
def good_bank(margin: float, share: float) -> Bank:
    """Bet that the candidate is not worse by the margin."""
    return _not_worse(shares(margin), margin, share)


def _worse(ends: Floats, excess: float, share: float) -> Bank:
    """Leave the cells from which a share that is so much smaller would be below nothing.

    A share of nothing at all is no hypothesis to bet against: that of the first cell's end is.
    """
    possible = ends[1:] + excess >= 0
    high = np.clip(ends[1:][possible] + excess, ends[1], 1.0)
    return two_arms(ends[:-1][possible], high, share)


def _not_worse(ends: Floats, excess: float, share: float) -> Bank:
    """Leave the cells in which the candidate's share could not be so much larger."""
    possible = ends[:-1] + excess < 1
    return two_arms(ends[:-1][possible] + excess, ends[1:][possible], 1 - share)


class ArmsRate:
    """The share of two arms; kept are four counts."""

    def __init__(self, margin: float, share: float) -> None:
        self._margin, self._share = margin, share
        self.counts = np.zeros((2, 2))  # arm; hits, misses

    def add(self, candidate: BoolArray, values: Floats, weights: Floats) -> None:
        for arm, chosen in enumerate((~candidate, candidate)):
            hits = float(values[chosen] @ weights[chosen])
            self.counts[arm] += hits, weights[chosen].sum() - hits

    def log_evidence(self) -> tuple[float, float]:
        """Give the logarithms of the evidence for bad and for good."""
        bad = bad_bank(self._margin, self._share)
        return self._wealth(bad, good_bank(self._margin, self._share))

    def log_evidence_of(self, excess: float) -> tuple[float, float]:
        """Give the evidence that the candidate is worse by more than this, and that it is not."""
        ends = shares(self._margin)
        bad = _worse(ends, excess, self._share)
        return self._wealth(bad, _not_worse(ends, excess, self._share))

    def _wealth(self, bad: Bank, good: Bank) -> tuple[float, float]:
        incumbent, candidate = self.counts
        return (
            float(bad.log_wealth(np.concatenate([incumbent, candidate])).min()),
            float(good.log_wealth(np.concatenate([candidate, incumbent])).min()),
        )

    def to_json(self) -> dict[str, Any]:
        return {"counts": self.counts.tolist()}

    def restore(self, kept: dict[str, Any]) -> Self:
        self.counts = np.array(kept["counts"], dtype=np.float64)
        return self


class PairsRate:
    """The share of both answers to the same requests; kept are the pairs that differ."""

    def __init__(self, margin: float) -> None:
        self.bad, self.good = differences(margin, 1), differences(margin, -1)
        self.counts = np.zeros(3)  # the candidate alone, the incumbent alone, both or neither
        self.hits = np.zeros(2)

    def add(self, incumbent: Floats, candidate: Floats, weights: Floats) -> None:
        alone = candidate * (1 - incumbent) @ weights, incumbent * (1 - candidate) @ weights
        self.counts += (*alone, weights.sum() - sum(alone))
        self.hits += incumbent @ weights, candidate @ weights

    def log_evidence(self) -> tuple[float, float]:
        """Give the logarithms of the evidence for bad and for good."""
        return float(self.bad.log_wealth(self.counts)), float(self.good.log_wealth(self.counts))

    def log_evidence_of(self, excess: float) -> tuple[float, float]:
        """Give the evidence that the candidate is worse by more than this, and that it is not."""
        bad, good = differences(excess, 1), differences(excess, -1)
        return float(bad.log_wealth(self.counts)), float(good.log_wealth(self.counts))

    def to_json(self) -> dict[str, Any]:
        return {"counts": self.counts.tolist(), "hits": self.hits.tolist()}

    def restore(self, kept: dict[str, Any]) -> Self:
        self.counts = np.array(kept["counts"], dtype=np.float64)
        self.hits = np.array(kept["hits"], dtype=np.float64)
        return self
