"""The generalised Pareto likelihood, boiled down to one parameter.

With theta = shape / scale, the best shape for a theta is m(theta) = mean log(1 + theta y)
(Grimshaw, Computing maximum likelihood estimates for the generalized Pareto distribution,
Technometrics 1993), and for every other shape m / x the deviance grows by

    2 k h(x),    h(x) = x - 1 - log x,

whatever theta is. So one curve, m(theta), holds the whole likelihood surface of a sample. Theta
runs from -1 / largest upwards; s = log(1 + theta largest) takes the whole line and is smooth.
"""

import numpy as np

from models.protocols import FloatArray
from models.tail.extremes.bundle import Bundle

LEAST_SHAPE = -1.0
"""Below it the likelihood has no maximum at all."""
LOWEST, HIGHEST = -14.0, 84.0
"""Below, 1 + theta y has no digits left; above, a product of eight of them overflows."""

_AWAY_FROM_NOUGHT = 1e-8
_JUST_ABOVE = np.nextafter(-1.0, 0.0)
_HALVINGS = 3  # 8 terms share one logarithm
_ELEMENTS = 1 << 15  # what stays in a processor's cache between the steps


def theta_of(s: FloatArray, top: FloatArray) -> FloatArray:
    """Give theta, never quite nought: formulas divide by it, and 1e-8 from nought looks as 0."""
    moved = np.where(np.abs(s) < _AWAY_FROM_NOUGHT, _AWAY_FROM_NOUGHT, s)
    return np.expm1(moved) / top


def mean_log(bundle: Bundle, theta: FloatArray) -> FloatArray:
    """Take m(theta) for each row at each of its thetas (rows, points)."""
    step = max(1, _ELEMENTS // bundle.excess.size)
    parts = [
        _mean_log(bundle, theta[:, start : start + step])
        for start in range(0, theta.shape[1], step)
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def profile(shape: FloatArray, theta: FloatArray) -> FloatArray:
    """Give the log-likelihood an excess at theta with its best shape."""
    likelihood: FloatArray = -np.log(shape / theta) - shape - 1
    return likelihood


def _mean_log(bundle: Bundle, theta: FloatArray) -> FloatArray:
    # log of a product in place of a sum of logs, keeping product - 1 so that small ones lose no
    # digit: an eighth of the logarithms, which cost most.
    rest = theta[:, :, None] * bundle.excess[:, None, :]
    for _ in range(_HALVINGS):
        half = rest.shape[-1] // 2
        left, right = rest[..., :half], rest[..., half:]
        rest = left * right + left + right
    rest = np.maximum(rest, _JUST_ABOVE)  # rounding may take a product of tiny ones to nought
    mean: FloatArray = np.log1p(rest).sum(axis=-1) / bundle.peaks[:, None]
    return mean
