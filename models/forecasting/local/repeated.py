"""The last value, repeated, as wide as its own errors: what is left where nothing can be fitted."""

from collections.abc import Sequence
from math import nan

import numpy as np

from models.forecasting.spread import error_quantile, lagged_errors
from models.protocols import FloatArray

_FEWEST = 4
"""Values before an interval is claimed: their three steps say how far a step goes, roughly."""


def repeat_last(
    values: FloatArray, horizon: int, levels: Sequence[float]
) -> tuple[float, FloatArray]:
    """Give the last measured value, and by level and step how far on either side it may go.

    The spread is NaN for fewer than four values. It grows with the root of the distance, as a
    random walk's. Where there are too few steps for a level, the largest is doubled.
    """
    there = values[~np.isnan(values)]
    point = float(there[-1]) if there.size else nan
    if there.size < _FEWEST:
        return point, np.full((len(levels), horizon), nan)
    errors = lagged_errors(there, 1)
    sizes = [error_quantile(errors, level) * _stretch(errors.size, level) for level in levels]
    return point, np.outer(sizes, np.sqrt(np.arange(1.0, horizon + 1)))


def _stretch(count: int, level: float) -> float:
    return 1.0 if count >= level / (1 - level) - 1e-9 else 2.0
