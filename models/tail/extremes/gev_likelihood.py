"""Value, slope and curvature of the generalised extreme value likelihood.

With a = (x - location) / scale and w = log(1 + shape a) / shape the log-likelihood is

    l = -n log scale - sum of (1 + shape) w + exp(-w).
"""

from typing import NamedTuple

import numpy as np

from models.protocols import FloatArray
from models.tail.extremes.ratios import log1p_ratios


class Likelihood(NamedTuple):
    value: float
    slope: FloatArray
    """In (location, scale, shape)."""
    curvature: FloatArray


def possible(maxima: FloatArray, at: FloatArray) -> bool:
    """Whether the law has room for all the (ascending) maxima."""
    location, scale, shape = at.tolist()
    ends = (maxima[0] - location, maxima[-1] - location)
    return bool(scale > 0 and min(scale + shape * end for end in ends) > 0)


def likelihood(maxima: FloatArray, at: FloatArray) -> Likelihood:
    location, scale, shape = at.tolist()
    a = (maxima - location) / scale
    ratio = log1p_ratios(shape * a)
    z = 1 + shape * a
    w, w_a, w_x = a * ratio.value, 1 / z, a * a * ratio.first
    w_aa, w_ax, w_xx = -shape / z**2, -a / z**2, a**3 * ratio.second
    decay = np.exp(-w)
    pull = decay - 1 - shape  # of each w on the likelihood
    n = maxima.size
    first = np.stack([-w_a / scale, -a * w_a / scale, w_x])
    slope = (pull * first).sum(axis=1) + np.array([0, -n / scale, -w.sum()])
    second = _symmetric(
        w_aa / scale**2,
        (w_aa * a + w_a) / scale**2,
        -w_ax / scale,
        (w_aa * a + 2 * w_a) * a / scale**2,
        -w_ax * a / scale,
        w_xx,
    )
    curvature = (pull * second - decay * first[:, None] * first).sum(axis=2)
    curvature[:, 2] -= first.sum(axis=1)
    curvature[2, :] -= first.sum(axis=1)
    curvature[1, 1] += n / scale**2
    value = float(-n * np.log(scale) - np.sum((1 + shape) * w + decay))
    return Likelihood(value, slope, curvature)


def _symmetric(*upper: FloatArray) -> FloatArray:
    ll, ls, lx, ss, sx, xx = upper
    return np.stack([np.stack([ll, ls, lx]), np.stack([ls, ss, sx]), np.stack([lx, sx, xx])])
