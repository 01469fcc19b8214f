"""The generalised Pareto likelihood, boiled down to one parameter.

With theta = shape / scale, the best shape for a theta is m(theta) = mean log(1 + theta y)
(Grimshaw, Computing maximum likelihood estimates for the generalized Pareto distribution,
Technometrics 1993), and for every other shape m / x the deviance grows by

    2 k h(x),    h(x) = x - 1 - log x,

whatever theta is. So one curve, m(theta), holds the whole likelihood surface of a sample. Theta
runs from -1 / largest upwards; s = log(1 + theta largest) takes the whole line and is smooth.
"""

import math

import numpy as np

from models.compiled import compiled
from models.protocols import FloatArray
from models.tail.extremes.bundle import Bundle

LEAST_SHAPE = -1.0
"""Below it the likelihood has no maximum at all."""
LOWEST, HIGHEST = -14.0, 84.0
"""Below, 1 + theta y has no digits left; above, a product of eight of them overflows."""

_AWAY_FROM_NOUGHT = 1e-8
_JUST_ABOVE = np.nextafter(-1.0, 0.0)
_TOGETHER = 8  # terms share one logarithm


def theta_of(s: FloatArray, top: FloatArray) -> FloatArray:
    """Give theta, never quite nought: formulas divide by it, and 1e-8 from nought looks as 0."""
    moved = np.where(np.abs(s) < _AWAY_FROM_NOUGHT, _AWAY_FROM_NOUGHT, s)
    return np.expm1(moved) / top


def mean_log(bundle: Bundle, theta: FloatArray) -> FloatArray:
    """Take m(theta) for each row at each of its thetas (rows, points)."""
    mean: FloatArray = _mean_log(bundle.excess, bundle.peaks, np.ascontiguousarray(theta))
    return mean


def profile(shape: FloatArray, theta: FloatArray) -> FloatArray:
    """Give the log-likelihood an excess at theta with its best shape."""
    likelihood: FloatArray = -np.log(shape / theta) - shape - 1
    return likelihood


@compiled
def _mean_log(excess: FloatArray, peaks: FloatArray, theta: FloatArray) -> FloatArray:
    # log of a product in place of a sum of logs, keeping product - 1 so that small ones lose no
    # digit: an eighth of the logarithms, which cost most. The eight lie far apart in the sorted
    # row, so that never many tiny factors meet; past its end the row is padded with noughts.
    mean = np.empty_like(theta)
    for row in range(theta.shape[0]):
        y, each = excess[row], math.ceil(peaks[row] / _TOGETHER)
        rest = np.empty(each)
        for point in range(theta.shape[1]):
            at = theta[row, point]
            for i in range(each):
                a, b = at * y[i], at * y[i + each]
                c, d = at * y[i + 2 * each], at * y[i + 3 * each]
                e, f = at * y[i + 4 * each], at * y[i + 5 * each]
                g, h = at * y[i + 6 * each], at * y[i + 7 * each]
                a, c, e, g = a * b + a + b, c * d + c + d, e * f + e + f, g * h + g + h
                a, e = a * c + a + c, e * g + e + g
                # Rounding may take a product of tiny ones to nought.
                rest[i] = max(a * e + a + e, _JUST_ABOVE)
            total = 0.0
            for i in range(each):
                total += math.log1p(rest[i])
            mean[row, point] = total / peaks[row]
    return mean
