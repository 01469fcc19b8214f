"""One row's quantile curve: log latency against the log-odds of the level.

Between predicted levels the curve is straight on these axes. Beyond them log-odds are close to
log(p) low down and -log(1 - p) high up, so a straight line is a power law (a Pareto tail above).
Its slope is one number for all rows: carried on with each row's own last slope, a p99 that nears
its p99.9 would seem to make far latencies rarer.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.elementwise import exp
from models.errors import CalibrationError
from models.protocols import FloatArray

LEVELS = (0.05, 0.5, 0.95, 0.99, 0.999)
"""0.05 and 0.95 span the 90 % interval; the answer shows 0.5 and up."""
P99 = LEVELS.index(0.99)

_LOG_ODDS = np.array([math.log(level / (1 - level)) for level in LEVELS])
_LEAST_GAP = 1e-4  # of a latency: a vertical curve has no slope to read a probability from
_GAPS = _LEAST_GAP * np.arange(len(LEVELS))
_LEAST_EXCESSES = 30
_HEAVY = 1.0
_MOST_ODDS = 30.0  # 1e-13: further out a float64 probability rounds to 0 or 1


class Tails(NamedTuple):
    """Power-law indices of the latencies below the lowest level and above the highest."""

    lower: float
    upper: float


def ordered(raw: NDArray[np.float32]) -> FloatArray:
    """Make quantiles, levels on the last axis, not cross.

    Sorting never makes them worse (Chernozhukov, Fernandez-Val and Galichon 2010) and keeps each
    of them monotone in whatever all of them are monotone in.
    """
    risen = np.sort(raw, axis=-1).astype(np.float64) - _GAPS
    apart: FloatArray = np.maximum.accumulate(risen, axis=-1) + _GAPS
    return apart


def exceedance(curve: FloatArray, threshold: FloatArray, tails: Tails) -> FloatArray:
    """Read P(log latency > threshold) for each row.

    It never rises with the threshold, and never falls where no quantile of the curve falls.
    """
    piece = np.clip((curve <= threshold[:, None]).sum(axis=1) - 1, 0, len(LEVELS) - 2)
    rows = np.arange(len(curve))
    left, right = curve[rows, piece], curve[rows, piece + 1]
    start, end = _LOG_ODDS[piece], _LOG_ODDS[piece + 1]
    within = start + (threshold - left) * ((end - start) / (right - left))
    below = start - (left - threshold) * tails.lower
    above = end + (threshold - right) * tails.upper
    inside = np.clip(within, start, end)
    outside = np.where(threshold < left, below, above)
    beyond = (threshold < left) | (threshold >= right)
    log_odds = np.where(beyond, outside, inside)
    probability: FloatArray = 1 / (1 + exp(np.clip(log_odds, -_MOST_ODDS, _MOST_ODDS)))
    return probability


def fitted_tails(curve: FloatArray, truth: FloatArray) -> Tails:
    """Hill's estimates (1975): one over the mean excess, in logarithms, beyond the outer quantiles.

    `truth` has a row for each of the curve's and any number of columns.
    """
    short = curve[:, [0]] - truth
    long = truth - curve[:, [P99]]
    return Tails(_hill(short[short > 0]), _hill(long[long > 0]))


def cautious_tails(curve: FloatArray, truth: FloatArray) -> Tails:
    """Estimate as far as there are excesses enough; a tail that few are beyond is taken as heavy.

    For a short history: under an index of 1 latencies would have no mean.
    """
    short, long = curve[:, [0]] - truth, truth - curve[:, [P99]]
    estimates = (
        _hill(each[each > 0]) if (each > 0).sum() >= _LEAST_EXCESSES else _HEAVY
        for each in (short, long)
    )
    return Tails(*estimates)


def _hill(excess: FloatArray) -> float:
    if excess.size < _LEAST_EXCESSES:
        raise CalibrationError(
            f"only {excess.size} requests are beyond the outer quantiles; fitting a tail needs "
            f"{_LEAST_EXCESSES}"
        )
    return float(1 / excess.mean())
