"""Covariances of the unit cube: Matern 5/2 and the squared exponential, a length a column.

`slope` is -2 dk/d(r^2), of which every derivative is made: in the lengths when fitting and in the
place when climbing. Rasmussen & Williams 2006, eqs. 4.9 and 4.17.
"""

import math
from typing import Literal

import numpy as np

from models.protocols import FloatArray

Kind = Literal["matern", "rbf"]
KINDS: tuple[Kind, ...] = ("matern", "rbf")
_ROOT_5 = math.sqrt(5)


def squares(a: FloatArray, b: FloatArray) -> FloatArray:
    """Squared differences, column by column: (columns, rows of a, rows of b)."""
    return (a.T[:, :, None] - b.T[:, None, :]) ** 2


def covariance(distance: FloatArray, kind: Kind) -> tuple[FloatArray, FloatArray]:
    """Take squared scaled distances to the correlation and its slope."""
    if kind == "rbf":
        value = np.exp(-0.5 * distance)
        return value, value
    reach = _ROOT_5 * np.sqrt(distance)
    decay = np.exp(-reach)
    return (1 + reach + reach**2 / 3) * decay, 5 / 3 * (1 + reach) * decay


def scaled(differences: FloatArray, lengths: FloatArray) -> FloatArray:
    """Add up squared differences, each over its squared length."""
    flat = (lengths**-2.0) @ differences.reshape(len(differences), -1)
    total: FloatArray = flat.reshape(differences.shape[1:])
    return total
