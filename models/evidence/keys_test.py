"""The randomisation test of one metric of a canary: see slices.py."""

from typing import Any, Self

import numpy as np

from models.evidence.bets import Floats
from models.evidence.margins import Metric, Quantile, Rate
from models.evidence.means import scale
from models.evidence.slices import LOG_CHECKS, Pair, Slices
from models.evidence.thresholds import PER_MARGIN, cells, thresholds
from models.evidence.verdict import Evidence
from models.protocols import BoolArray, IntArray

_MISS, _HIT = 0, 1


class KeysTest:
    """Takes the values of a metric with the slices that their keys are of."""

    def __init__(self, metric: Metric, share: float, needed: Pair) -> None:
        self._metric = metric
        self._needed = needed[0] + LOG_CHECKS, needed[1] + LOG_CHECKS
        kinds = 2
        if isinstance(metric, Quantile):
            self._edges = thresholds(metric.low, metric.high, metric.margin)
            kinds = _kinds(np.array(self._edges.size)).item() + 1
        self.slices = Slices(share, kinds)
        self._highest = np.zeros(2)

    def add(self, slices: IntArray, candidate: BoolArray, values: Floats, weights: Floats) -> None:
        metric = self._metric
        if isinstance(metric, Quantile):
            scaled = np.where(candidate, values / (1 + metric.margin), values)
            self.slices.add(slices, _kinds(cells(self._edges, scaled)), weights)
            return
        hits = values if isinstance(metric, Rate) else scale(metric, values)
        self.slices.add(slices, np.full(slices.size, _HIT), weights * hits)
        self.slices.add(slices, np.full(slices.size, _MISS), weights * (1 - hits))

    def look(self) -> Evidence:
        """Give the highest evidence that a check has found; there is one where it is due."""
        if self.slices.due():
            self._highest = np.maximum(self._highest, self._log_evidence())
        bad, good = self._highest.tolist()
        if self.slices.checked and not self._sees():
            # No value is told apart from another, so none is worse: as long as it is so.
            good = max(good, self._needed[1])
        return Evidence(bad, self._needed[0], good, self._needed[1])

    def _sees(self) -> bool:
        return not isinstance(self._metric, Quantile) or self.slices.sees_quantile(self._metric.p)

    def _log_evidence(self) -> Pair:
        metric = self._metric
        if isinstance(metric, Quantile):
            excess = self.slices.excess_of_quantile(metric.p)
            bad, good = self.slices.log_evidence(excess, self._needed)
            return bad, good if self._sees() else 0.0
        margin = metric.margin
        if not isinstance(metric, Rate):
            margin /= metric.high - metric.low
        return self.slices.log_evidence(self.slices.excess_of_rate(margin), self._needed)

    def to_json(self) -> dict[str, Any]:
        return {"slices": self.slices.to_json(), "highest": self._highest.tolist()}

    def restore(self, kept: dict[str, Any]) -> Self:
        self.slices.restore(kept["slices"])
        self._highest = np.array(kept["highest"])
        return self


def _kinds(cell: IntArray) -> IntArray:
    """Put the cells of a margin together: slices are told apart well enough by those."""
    return (cell + PER_MARGIN - 1) // PER_MARGIN
