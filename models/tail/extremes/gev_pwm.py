"""Generalised extreme value parameters by probability-weighted moments: where the climb begins.

Hosking, Wallis and Wood, Estimation of the generalized extreme-value distribution by the method of
probability-weighted moments, Technometrics 1985; the equation for the shape is solved exactly, not
by their approximation.
"""

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq
from scipy.special import gamma

from models.errors import TrainingDataError
from models.protocols import FloatArray

_LEAST_SHAPE, _MOST_SHAPE = -10.0, 0.999
_NOUGHT = 1e-8  # every formula is smooth there and divides by the shape


def pwm_parameters(ascending: FloatArray) -> tuple[float, float, float]:
    """Give location, scale and shape; TrainingDataError where no law has such moments."""
    b0, b1, b2 = _moments(ascending)
    ratio = (3 * b2 - b0) / (2 * b1 - b0)
    if not _ratio(_LEAST_SHAPE) < ratio < _ratio(_MOST_SHAPE):
        raise TrainingDataError(
            f"the moments of the {ascending.size} maxima fit no extreme-value distribution"
        )
    root: Callable[..., float] = brentq
    shape = root(lambda x: _ratio(x) - ratio, _LEAST_SHAPE, _MOST_SHAPE, xtol=1e-14)
    shape = shape if abs(shape) > _NOUGHT else _NOUGHT
    grown = float(gamma(1 - shape))
    scale = (2 * b1 - b0) * shape / (grown * np.expm1(shape * np.log(2)))
    return float(b0 + scale * (1 - grown) / shape), float(scale), shape


def _ratio(shape: float) -> float:
    shape = shape if abs(shape) > _NOUGHT else _NOUGHT
    return float(np.expm1(shape * np.log(3)) / np.expm1(shape * np.log(2)))


def _moments(ascending: FloatArray) -> tuple[float, float, float]:
    """Estimate E[X F(X)^r] for r = 0, 1, 2 without bias."""
    n = ascending.size
    rank = np.arange(float(n))
    first = rank / (n - 1)
    second = first * (rank - 1) / (n - 2)
    b0, b1, b2 = (float(np.mean(weight * ascending)) for weight in (1.0, first, second))
    return b0, b1, b2
