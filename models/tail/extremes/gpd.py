"""The generalised Pareto law of the excesses over a threshold, and a fit of it.

Coles, An Introduction to Statistical Modeling of Extreme Values, Springer 2001, chapter 4. With
scale s and shape x, P(excess > y) = (1 + x y / s)^(-1/x), exp(-y / s) at x = 0; a shape above
nought means a power-law tail, below nought a finite end at s / -x.
"""

import math
from dataclasses import dataclass

import numpy as np

from models.protocols import FloatArray
from models.tail.extremes.excesses import Excesses
from models.tail.extremes.ratios import expm1_ratio, log1p_ratio


@dataclass(frozen=True, slots=True)
class GpdFit:
    sample: Excesses
    scale: float
    shape: float
    log_likelihood: float
    covariance: FloatArray
    """Of (scale, shape); NaN where there is none (see `regular`)."""
    regular: bool
    """Whether the usual large-sample theory holds: where the shape is above -1/2."""

    @property
    def standard_errors(self) -> tuple[float, float]:
        scale, shape = np.sqrt(np.diag(self.covariance)).tolist()
        return scale, shape


def log_survival(excess: FloatArray, scale: FloatArray, shape: FloatArray) -> FloatArray:
    """Give log P(excess > y); minus infinity beyond the law's end."""
    a = excess / scale
    within = 1 + shape * a > 0
    inside = np.where(within, a, 0.0)
    return np.where(within, -inside * log1p_ratio(shape * inside), -np.inf)


def excess_quantile(log_odds: FloatArray, scale: FloatArray, shape: FloatArray) -> FloatArray:
    """Give the excess y with P(excess > y) = exp(-log_odds)."""
    return scale * log_odds * expm1_ratio(shape * log_odds)


def mean_beyond(log_odds: FloatArray, scale: FloatArray, shape: FloatArray) -> FloatArray:
    """Give the mean of the excesses beyond that quantile; infinite from shape 1 on."""
    finite = shape < 1
    below = np.where(finite, shape, 0.0)
    grown = log_odds + log1p_ratio(-below)
    return np.where(finite, scale * grown * expm1_ratio(below * grown), np.inf)


def log_likelihood(excess: FloatArray, scale: float, shape: float) -> float:
    survived = log_survival(excess, np.array(scale), np.array(shape))
    more = 1 + shape
    # At shape -1 the law is uniform, and an excess at its very end is as likely as any other.
    weight = float(np.sum(more * survived)) if more else 0.0
    return weight - excess.size * math.log(scale)
