"""What is asked of the local methods, and what they say."""

from dataclasses import dataclass, field
from math import inf

import numpy as np
import numpy.typing as npt

from models.forecasting.local.cadence import Cadence
from models.protocols import FloatArray


@dataclass(frozen=True, slots=True)
class Question:
    """A series on an even grid, oldest first, and how far it is asked for."""

    values: FloatArray
    """NaN where a value is missing."""
    cadence: Cadence
    horizon: int
    levels: tuple[float, ...]
    """How often each interval shall hold; rising."""
    model: str = "combination"
    special: npt.NDArray[np.bool_] | None = None
    """Of each value, past and to come: whether it lies on a holiday; None where none is named."""
    least: float = -inf
    """What no value can be under."""

    @property
    def gap(self) -> int:
        """How many values are missing at the end."""
        there = np.flatnonzero(~np.isnan(self.values))
        return len(self.values) - 1 - int(there[-1]) if there.size else len(self.values)


@dataclass(frozen=True, slots=True)
class LocalForecast:
    """One series' answer."""

    point: FloatArray
    """(horizon,)"""
    lower: FloatArray
    """(levels, horizon); NaN where nothing is claimed."""
    upper: FloatArray
    weights: dict[str, float]
    """By method: its share of the point."""
    seasons: tuple[int, ...] = ()
    coverage: tuple[float, ...] | None = None
    """By level: the share of past values that such intervals held."""
    coverage_points: int = 0
    interval_reason: str | None = None
    coverage_reason: str | None = None
    notes: tuple[str, ...] = field(default=())
