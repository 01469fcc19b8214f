"""Reading a smooth curve between the points where it was computed.

Barycentric interpolation in Chebyshev points (Berrut and Trefethen, SIAM Review 2004): for a curve
as smooth as a log-likelihood, 33 points give ten digits anywhere between. Written as sums over the
last axis, so that a curve's values do not depend on which others are read beside it.
"""

import numpy as np

from models.protocols import FloatArray

POINTS = 33
NODES = -np.cos(np.pi * np.arange(POINTS) / (POINTS - 1))
"""From -1 to 1."""

_LEAST = 1e-200  # at a node itself: all weight goes there
WEIGHTS = (-1.0) ** np.arange(POINTS) * np.where(np.abs(NODES) == 1, 0.5, 1.0)


def weights_at(x: FloatArray) -> FloatArray:
    """Give the weight of each node for each x in [-1, 1]: (..., POINTS)."""
    weight = WEIGHTS / (x[..., None] - NODES + _LEAST)
    shares: FloatArray = weight / weight.sum(axis=-1, keepdims=True)
    return shares


def read(curve: FloatArray, x: FloatArray) -> FloatArray:
    """Read each row of `curve` (rows, POINTS) at each of the row's x (rows, points)."""
    value: FloatArray = (curve[:, None, :] * weights_at(x)).sum(axis=-1)
    return value
