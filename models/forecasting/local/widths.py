"""How wide intervals must be, by level and step, from the errors of past forecasts.

Split conformal's rank (Vovk et al. 2005; Lei et al. 2018) on errors over their usual size at each
step, which is smoothed over neighbouring steps and never falls: a season apart, errors of one
series are not that different, and pooled there are enough of them for a high level. Forecasts whose
horizons overlap share their surprises, so that they count for fewer than they are.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from models.protocols import FloatArray, IntArray

# Steps before and after whose errors say something of a step's, as a share of its distance.
_NEIGHBOURS = 0.25
_FEWEST_ERRORS = 3
"""Of a step, before it is said to be seen."""
# How many separate errors each stretch of the past counts for that is as long as the horizon, and
# what choosing methods on these very errors hides of them. Found on M4's series, whole and cut
# short, their test parts included (benchmarks/quality/local_methods.py).
_ERRORS_A_STRETCH, _HIDDEN = 20.0, 0.7
_ORIGINS_A_LOOK = 4
# Steps' usual errors are taken to be no smaller than this share of their mean.
_LEAST_SIZE = 1e-3


@dataclass(frozen=True, slots=True)
class Looks:
    """How many separate looks at the past the errors are."""

    stretches: float
    """The past in which there are origins, in horizons."""
    origins: int

    @property
    def separate(self) -> float:
        return max(min(self.stretches, self.origins / _ORIGINS_A_LOOK), 0.25)


def widths(errors: FloatArray, looks: Looks, levels: Sequence[float]) -> FloatArray | None:
    """Give (levels, horizon) of (origins, horizon) errors; None where all of them are nought."""
    sizes = usual_sizes(np.abs(errors))
    if sizes is None:
        return None
    scores = np.sort((np.abs(errors) / sizes)[~np.isnan(errors)])
    count = min(float(scores.size), _ERRORS_A_STRETCH * looks.separate)
    stretch = math.sqrt(1 + _HIDDEN / looks.separate)
    quantiles = np.maximum.accumulate([_quantile(scores, count, each) for each in levels])
    return np.asarray(np.outer(quantiles * stretch, sizes))


def _quantile(scores: FloatArray, count: float, level: float) -> float:
    """Take the quantile that `count` separate scores give; beyond them, as a normal's tail goes."""
    highest = count / (count + 1)
    share = level * (count + 1) / count
    if share >= 1:
        normal = NormalDist()
        beyond = normal.inv_cdf((1 + level) / 2) / normal.inv_cdf((1 + highest) / 2)
        return float(scores[-1]) * max(beyond, 1.0)
    return float(scores[min(math.ceil(scores.size * share), scores.size) - 1])


def usual_sizes(sizes: FloatArray) -> FloatArray | None:
    """Give (horizon,): the mean size by step, smoothed, never falling; None where it is nought.

    Past the steps that the past has shown it grows with the root of the distance.
    """
    there = ~np.isnan(sizes)
    counts = there.sum(axis=0).astype(np.float64)
    totals = np.where(there, sizes, 0.0).sum(axis=0)
    horizon = len(counts)
    steps = np.arange(horizon)
    reach = np.maximum((_NEIGHBOURS * steps).astype(np.int64), 1)
    low, high = np.maximum(steps - reach, 0), np.minimum(steps + reach + 1, horizon)
    means = _between(totals, low, high) / np.maximum(_between(counts, low, high), 1.0)
    seen = np.flatnonzero(counts >= min(_FEWEST_ERRORS, counts[0]))
    last = int(seen[-1])
    means = np.maximum.accumulate(means)
    means[last + 1 :] = means[last] * np.sqrt((steps[last + 1 :] + 1) / (last + 1))
    usual = float(means.mean())
    return np.maximum(means, _LEAST_SIZE * usual) if usual > 0 else None


def _between(values: FloatArray, low: IntArray, high: IntArray) -> FloatArray:
    summed = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray(summed[high] - summed[low])
