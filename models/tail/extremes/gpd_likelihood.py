"""Slope and curvature of the generalised Pareto likelihood in (scale, shape), a row a sample.

With a = y / scale and w = log(1 + shape a) / shape the log-likelihood is

    l = -k log scale - (1 + shape) sum w.

Its curvature at the maximum, with the sign turned, is the observed information.
"""

from typing import NamedTuple

import numpy as np

from models.protocols import BoolArray, FloatArray
from models.tail.extremes.bundle import Bundle
from models.tail.extremes.ratios import log1p_ratios


class Likelihood(NamedTuple):
    value: FloatArray
    """Minus infinity where an excess lies beyond the law's end."""
    scale: FloatArray
    shape: FloatArray
    """First derivatives."""
    scale_scale: FloatArray
    scale_shape: FloatArray
    shape_shape: FloatArray


def likelihood(bundle: Bundle, scale: FloatArray, shape: FloatArray) -> Likelihood:
    k, possible = bundle.peaks, _possible(bundle, scale, shape)
    a = bundle.excess / scale[:, None]
    t = np.where(possible[:, None], shape[:, None] * a, 0.0)
    ratio = log1p_ratios(t)
    share = a / (1 + t)
    sum_w = (a * ratio.value).sum(axis=1)
    sum_w1 = (a * a * ratio.first).sum(axis=1)
    sum_w2 = (a * a * a * ratio.second).sum(axis=1)
    shares, squares = share.sum(axis=1), (share * share).sum(axis=1)
    both = (share * (2 + t) / (1 + t)).sum(axis=1)
    more = 1 + shape
    return Likelihood(
        value=np.where(possible, -k * np.log(scale) - more * sum_w, -np.inf),
        scale=(more * shares - k) / scale,
        shape=-sum_w - more * sum_w1,
        scale_scale=(k - more * both) / scale**2,
        scale_shape=(shares - more * squares) / scale,
        shape_shape=-2 * sum_w1 - more * sum_w2,
    )


def newton_step(at: Likelihood) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Step towards the maximum; the last answer says where there is one to step to."""
    determinant = at.scale_scale * at.shape_shape - at.scale_shape**2
    peaked = (at.scale_scale < 0) & (determinant > 0)
    safe = np.where(peaked, determinant, 1.0)
    scale = (at.scale_shape * at.shape - at.shape_shape * at.scale) / safe
    shape = (at.scale_shape * at.scale - at.scale_scale * at.shape) / safe
    return scale, shape, peaked


def _possible(bundle: Bundle, scale: FloatArray, shape: FloatArray) -> BoolArray:
    possible: BoolArray = (scale > 0) & (1 + shape * bundle.top / scale > 0)
    return possible
