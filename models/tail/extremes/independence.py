"""Whether block maxima, in order of time, look like draws of one law that do not follow each other.

The likelihood multiplies the maxima's densities. Where each follows the one before (a trend, a
level that shifts, a time of day, a long memory) it counts what is known once many times over, and
its intervals are too short. Two tests on the maxima's normal scores, so that no tail can upset
them: the correlation of neighbours, and Ljung and Box's sum over more distant ones (On a measure
of lack of fit in time series models, Biometrika 1978).
"""

import math

import numpy as np
from scipy.special import chdtri, ndtri
from scipy.stats import rankdata

from models.protocols import BoolArray, FloatArray

# How often maxima that do follow nothing are taken for ones that do, by each of the tests.
NEIGHBOURS_FALSE, DISTANT_FALSE = 0.02, 0.005
MOST_LAGS = 30


def follow_each_other(maxima: FloatArray) -> bool:
    """Tell whether the maxima depend on those before them; NaN marks a block that has none."""
    seen = ~np.isnan(maxima)
    blocks = int(np.count_nonzero(seen))
    scores = _normal_scores(maxima, seen)
    lags = min(MOST_LAGS, blocks // 4)
    found = [_correlation(scores, seen, lag) for lag in range(1, lags + 1)]
    # Of independent values it is -1 / blocks on average, not nought.
    near = (found[0][0] + 1 / blocks) * math.sqrt(found[0][1])
    distant = blocks * (blocks + 2) * sum(r * r / max(pairs, 1) for r, pairs in found)
    return bool(near > ndtri(1 - NEIGHBOURS_FALSE) or distant > chdtri(lags, DISTANT_FALSE))


def _normal_scores(maxima: FloatArray, seen: BoolArray) -> FloatArray:
    """Replace each value by the normal quantile of its rank, a gap by nought: the mean."""
    ranks = rankdata(maxima[seen])
    scores = np.zeros(maxima.size)
    scores[seen] = ndtri(ranks / (ranks.size + 1))
    return scores


def _correlation(scores: FloatArray, seen: BoolArray, lag: int) -> tuple[float, int]:
    """Give the correlation at a lag, and of how many pairs; a gap makes no pair."""
    pairs = int(np.count_nonzero(seen[:-lag] & seen[lag:]))
    return float(scores[:-lag] @ scores[lag:] / (scores @ scores)), pairs
