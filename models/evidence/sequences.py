"""Confidence sequences of one arm, to be shown beside a verdict: valid at all times at once.

A value is in the sequence until a bank of bets against it has reached 2 / alpha, from below or from
above. For quantiles see Howard and Ramdas (2022), theorem 1: one quantile is one share.
"""

from functools import lru_cache

import numpy as np

from models.evidence.bets import Bank, Floats, observed, one_arm
from models.evidence.thresholds import exceeding
from models.evidence.verdict import Interval
from models.protocols import BoolArray

# Shares of 0 and 1 are no hypotheses to bet against: they are what is left where all is refuted.
_GRID = np.concatenate([np.geomspace(1e-6, 0.5, 700), 1 - np.geomspace(0.5, 1e-6, 700)[1:]])


def share_interval(hits: float, misses: float, alpha: float) -> Interval:
    """Bound a share of requests."""
    counts, limit = np.array([hits, misses]), np.log(2 / alpha)
    too_low = _leading(_bank(1).log_wealth(counts) >= limit)
    too_high = _leading((_bank(-1).log_wealth(counts) >= limit)[::-1])
    lower = float(_GRID[too_low - 1]) if too_low else 0.0
    return lower, float(_GRID[_GRID.size - too_high]) if too_high else 1.0


def quantile_interval(edges: Floats, histogram: Floats, p: float, alpha: float) -> Interval:
    """Bound a quantile by the thresholds between which it must lie."""
    above = exceeding(histogram)[1:-1]  # of each threshold
    counts, limit = observed(above, histogram.sum() - above), np.log(2 / alpha)
    too_low = _leading(one_arm(1 - p, 1).log_wealth(counts) >= limit)
    too_high = _leading((one_arm(1 - p, -1).log_wealth(counts) >= limit)[::-1])
    lower = float(edges[too_low - 1]) if too_low else None
    return lower, float(edges[edges.size - too_high]) if too_high else None


@lru_cache(maxsize=2)
def _bank(direction: int) -> Bank:
    return one_arm(_GRID, direction)


def _leading(refuted: BoolArray) -> int:
    """Count those that are refuted before the first that is not."""
    return refuted.size if refuted.all() else int(np.argmin(refuted))
