"""The score that a share of new ones exceeds, also where the share is too small for the sample.

Up to the largest of n scores the conformal quantile, between ranks in a straight line so that a
small change of the share is a small change of the answer. Beyond, the scores' tail is continued as
an exponential one (a generalised Pareto tail of shape 0), and from a share of nought down it goes
on in a straight line: an online controller that has run out of share must still be able to widen.
"""

import math

import numpy as np

from models.protocols import FloatArray

_TAIL_SHARE = 0.1
_LEAST_SHARE = 0.1  # of one score's own share: where the exponential tail hands over to the line


def score_quantile(ascending: FloatArray, share: float) -> float:
    """Give the score exceeded with probability `share`, which may be under 0 or over 1."""
    n = ascending.size
    place = (n + 1) * (1 - share) - 1
    if place <= n - 1:
        return _between(ascending, max(place, 0.0))
    one = 1 / (n + 1)
    spread = _tail_spread(ascending)
    least = one * _LEAST_SHARE
    line = max(least - share, 0) / one
    return float(ascending[-1]) + spread * (math.log(one / max(share, least)) + line)


def _between(ascending: FloatArray, place: float) -> float:
    low = int(place)
    high = min(low + 1, ascending.size - 1)
    return float(ascending[low] + (place - low) * (ascending[high] - ascending[low]))


def _tail_spread(ascending: FloatArray) -> float:
    """Give the mean excess over the tail's start: an exponential tail's scale."""
    start = min(math.ceil(ascending.size * (1 - _TAIL_SHARE)), ascending.size - 1)
    below = ascending[max(start - 1, 0)]
    return float(np.mean(ascending[start:]) - below)
