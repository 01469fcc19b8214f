"""Bounds on every arm's mean reward that hold at all times at once.

Abbasi-Yadkori, Pal and Szepesvari, Improved Algorithms for Linear Stochastic Bandits, NIPS 2011,
theorem 2: with probability 1 - risk, for all contexts and all times together,

    |x^T (theta_hat - theta)| <= (R sqrt(2 log(1 / risk) + log det(V) - log det(lambda I))
                                  + sqrt(lambda) S) * sqrt(x^T V^-1 x).

Rewards in 0..1 are 1/2-sub-Gaussian, so R = 1/2; scaled features keep theta within S = 1/2 of the
prior (see contexts.py). It takes for granted that an arm's mean is linear in the features and
does not change.
"""

import math

import numpy as np

from models.protocols import FloatArray

_NOISE = _NORM = 0.5


def half_widths(spread: FloatArray, log_ratio: FloatArray, prior: float, risk: float) -> FloatArray:
    """Give half the width of each bound; `log_ratio` is log det(V) - log det(lambda I)."""
    surprise = 2 * (_shared_risk(log_ratio.shape[1], risk)) + np.maximum(log_ratio, 0.0)
    half: FloatArray = (_NOISE * np.sqrt(surprise) + math.sqrt(prior) * _NORM) * spread
    return half


def _shared_risk(arms: int, risk: float) -> FloatArray:
    """Give log(1 / risk) of each arm; arm j has risk / ((j + 1)(j + 2)), so more may be added."""
    return np.array([math.log((j + 1) * (j + 2) / risk) for j in range(arms)])
