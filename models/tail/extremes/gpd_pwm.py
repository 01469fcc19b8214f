"""Generalised Pareto fits by probability-weighted moments.

Hosking and Wallis, Parameter and quantile estimation for the generalized Pareto distribution,
Technometrics 1987. Less efficient than likelihood in large samples, steadier in small ones, and
defined whenever the mean is; its large-sample covariance exists for shapes under 1/2.
"""

import numpy as np

from models.errors import TrainingDataError
from models.protocols import FloatArray
from models.tail.extremes.excesses import Excesses
from models.tail.extremes.gpd import GpdFit, log_likelihood

_MOST_SHAPE = 0.5


def fit_gpd_pwm(sample: Excesses) -> GpdFit:
    excess = sample.excess
    k = excess.size
    mean = float(excess.mean())
    weights = np.arange(k - 1, -1, -1.0) / (k - 1)
    weighted = float(np.mean(weights * excess))
    rest = mean - 2 * weighted
    if not rest > 0:
        raise TrainingDataError(
            f"the {k} excesses over {sample.threshold:g} are all alike: their moments fit no tail"
        )
    scale, shape = 2 * mean * weighted / rest, 2 - mean / rest
    return GpdFit(
        sample=sample,
        scale=scale,
        shape=shape,
        log_likelihood=log_likelihood(excess, scale, shape),
        covariance=_covariance(scale, -shape, k),
        regular=shape < _MOST_SHAPE,
        method="probability-weighted moments",
    )


def _covariance(scale: float, k: float, size: int) -> FloatArray:
    """Give formula 12 of the paper, whose k is minus the shape."""
    if k <= -_MOST_SHAPE:
        return np.full((2, 2), np.nan)
    both = -scale * (2 + k) * (2 + 6 * k + 7 * k**2 + 2 * k**3)
    of_scale = scale**2 * (7 + 18 * k + 11 * k**2 + 2 * k**3)
    of_shape = (1 + k) * (2 + k) ** 2 * (1 + k + 2 * k**2)
    return np.array([[of_scale, both], [both, of_shape]]) / ((1 + 2 * k) * (3 + 2 * k) * size)
