"""The usual spread of each coordinate, so that none counts for more because of its unit."""

import numpy as np

from models.protocols import FloatArray

_LEAST_SHARE = 1e-9  # of the coordinate's size: a constant still has a spread, of its last digits
_LEAST = 1e-100


def spread(values: FloatArray) -> FloatArray:
    """Give the median distance from the median of each column, the mean one where that is 0."""
    middle = np.median(values, axis=0)
    distance = np.abs(values - middle)
    usual = np.median(distance, axis=0)
    rare = np.mean(distance, axis=0)
    least = np.maximum(_LEAST, _LEAST_SHARE * np.abs(middle))
    chosen: FloatArray = np.maximum(np.where(usual > least, usual, rare), least)
    return chosen


def weights(shingles: FloatArray, dimensions: int) -> FloatArray:
    """Weigh the columns (dimension by dimension, lag by lag) by one over their spread.

    All lags of a dimension are one quantity and share its weight.
    """
    lags = shingles.shape[1] // dimensions
    by_dimension = shingles.reshape(len(shingles), dimensions, lags).transpose(0, 2, 1)
    usual = spread(by_dimension.reshape(-1, dimensions))
    return np.repeat(1 / usual, lags)
