"""The generalised extreme value law of the largest value of each block, and a fit of it.

Coles 2001, chapter 3: P(largest <= z) = exp(-(1 + shape (z - location) / scale)^(-1/shape)).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from models.errors import TrainingDataError
from models.protocols import FloatArray
from models.tail.extremes.excesses import observed_values

FEWEST_BLOCKS = 15
"""Fewer maxima are refused: three parameters from a handful of values say nothing."""


@dataclass(frozen=True, slots=True)
class GevFit:
    maxima: FloatArray
    location: float
    scale: float
    shape: float
    log_likelihood: float
    covariance: FloatArray
    """Of (location, scale, shape); NaN where there is none (see `regular`)."""
    regular: bool
    """Whether the usual large-sample theory holds: where the shape is above -1/2."""

    @property
    def standard_errors(self) -> tuple[float, float, float]:
        location, scale, shape = np.sqrt(np.diag(self.covariance)).tolist()
        return location, scale, shape


def checked_maxima(maxima: ArrayLike) -> FloatArray:
    """Take one maximum a block, ascending; TrainingDataError when too few or unusable."""
    seen = np.sort(observed_values(maxima))
    if seen.size < FEWEST_BLOCKS:
        raise TrainingDataError(
            f"{seen.size} block maxima are too few; at least {FEWEST_BLOCKS} are needed: "
            "give a longer series or shorter blocks"
        )
    return seen


def block_maxima(values: ArrayLike, block: int) -> FloatArray:
    """Take the largest value of each whole block; a block with gaps in over half of it has none."""
    series = np.asarray(values, dtype=np.float64)
    if block <= 1 or series.ndim != 1:
        raise TrainingDataError(f"blocks of {block} cannot be cut from the shape {series.shape}")
    blocks = series[: series.size // block * block].reshape(-1, block)
    seen = ~np.isnan(blocks)
    largest = np.where(seen, blocks, -np.inf).max(axis=1, initial=-np.inf)
    return np.where(2 * seen.sum(axis=1) >= block, largest, np.nan)
