"""Two ratios that extreme value formulas are full of, exact where they read 0 / 0.

The generalised Pareto and extreme value laws divide by their shape everywhere, and the shape is
often nearly nought. Written with these ratios, the formulas pass through nought smoothly.
"""

from typing import NamedTuple

import numpy as np

from models.protocols import FloatArray

_NEAR = 1e-4  # inside, series of 4 terms: their error is below 1e-16
_TERMS = np.arange(4.0)
_SIGNS = (-1.0) ** _TERMS
# The derivatives of log1p(t) / t = sum of (-t)^n / (n + 1), highest power first
_FIRST = (-_SIGNS * (_TERMS + 1) / (_TERMS + 2))[::-1]
_SECOND = (_SIGNS * (_TERMS + 1) * (_TERMS + 2) / (_TERMS + 3))[::-1]
_LEAST = 1e-300  # nothing beside any number but nought, and itself over itself is 1


class LogRatio(NamedTuple):
    """log1p(t) / t with its derivatives in t."""

    value: FloatArray
    first: FloatArray
    second: FloatArray


def log1p_ratio(t: FloatArray) -> FloatArray:
    """log1p(t) / t; 1 at nought."""
    ratio: FloatArray = (np.log1p(t) + _LEAST) / (t + _LEAST)
    return ratio


def log1p_ratios(t: FloatArray) -> LogRatio:
    near = np.abs(t) < _NEAR
    away = np.where(near, 1.0, t)
    value = log1p_ratio(t)
    first = (1 / (1 + away) - value) / away
    second = (-1 / (1 + away) ** 2 - 2 * first) / away
    return LogRatio(
        value,
        np.where(near, _series(_FIRST, t), first),
        np.where(near, _series(_SECOND, t), second),
    )


def expm1_ratio(t: FloatArray) -> FloatArray:
    """(exp(t) - 1) / t; 1 at nought."""
    ratio: FloatArray = (np.expm1(t) + _LEAST) / (t + _LEAST)
    return ratio


def _series(coefficients: FloatArray, t: FloatArray) -> FloatArray:
    third, second, first, constant = coefficients
    total: FloatArray = ((third * t + second) * t + first) * t + constant
    return total
