"""What a stream of change-point detection consists of, as plain arrays.

A stream holds hypotheses: that its present regime began at observation `start`, with posterior
probability exp(log_p) and the sufficient statistics of the observations since.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

F64Array = NDArray[np.float64]
I64Array = NDArray[np.int64]

LEVEL, TREND, POISSON, WISHART = 0, 1, 2, 3


class Prior(NamedTuple):
    family: int
    kappa: float
    """How many observations the prior mean is worth; it is 0 once observations are scaled."""
    slope_kappa: float
    alpha: float
    beta: float
    weight: float
    """What part of its log likelihood an observation counts for (generalised Bayes)."""
    gamma: F64Array
    """log Gamma(. + d / 2) - log Gamma(.) of the predictive after 0, 1, ... observations."""


class Streams(NamedTuple):
    total: I64Array
    """(streams): observations taken."""
    size: I64Array
    """(streams): hypotheses held; the last has yet to see its first observation."""
    start: I64Array
    """(streams, hypotheses), ascending"""
    began: F64Array
    """(streams, hypotheses): when that observation was made."""
    log_p: F64Array
    log_own: F64Array
    """(streams, hypotheses): the same without what others handed over."""
    prefix: F64Array
    """(streams, hypotheses): log score of the best segmentation of what came before."""
    stats: F64Array
    """(streams, hypotheses, statistics)"""
    best: F64Array
    """(streams): log score of the best segmentation of everything so far."""
    centre: F64Array
    """(streams, dimensions)"""
    scale: F64Array
    stash: F64Array
    """(streams, observations, dimensions): the first, from which the scale is learnt."""
    stash_when: F64Array
    stashed: I64Array
    told: I64Array
    """(streams): start of the last regime that was announced."""
    paths: I64Array
    """(streams): how many entries were ever written to the three rings that follow."""
    path_from: I64Array
    """(streams, entries): after so many observations and until the next entry..."""
    path_start: I64Array
    """...the last segment of the best segmentation began at this one..."""
    path_began: F64Array
    """...which was made then."""


class Steps(NamedTuple):
    """What each row of a call is answered, a row an observation."""

    change: F64Array
    announced: NDArray[np.bool_]
    start: I64Array
    began: F64Array
    run: I64Array
    mean: F64Array
    sd: F64Array
    surprise: F64Array
    segment: I64Array
    """Where the last segment of the best segmentation begins."""
    warming: NDArray[np.bool_]
    """Whether the scale is still being learnt."""
    log_odds: F64Array
    """Of a change among the recent observations, within those of `least`."""
