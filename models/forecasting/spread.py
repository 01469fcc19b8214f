"""The interval that a rule's own past errors give."""

import math

import numpy as np

from models.protocols import FloatArray

_LEAST = 2


def error_quantile(errors: FloatArray, level: float) -> float:
    """Give the size that a share `level` of new errors keeps under; NaN for fewer than two.

    It is split conformal's rank; where there are too few errors for the level it is the largest.
    """
    sizes = np.abs(errors[~np.isnan(errors)])
    if sizes.size < _LEAST:
        return math.nan
    rank = min(math.ceil((sizes.size + 1) * level - 1e-9), sizes.size)
    return float(np.partition(sizes, rank - 1)[rank - 1])


def lagged_errors(values: FloatArray, lag: int) -> FloatArray:
    """Give the errors of repeating what stood `lag` values before."""
    return values[lag:] - values[:-lag] if len(values) > lag else np.zeros(0)
