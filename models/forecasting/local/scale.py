"""The scales on which a series is forecast: its own, and where all is positive the logarithm's."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from models import elementwise
from models.protocols import FloatArray

# How far a forecast may leave the range of the past, in widths of it.
_BEYOND = 1.0


@dataclass(frozen=True, slots=True)
class Scale:
    """Values about nought, of size one; and the way back."""

    values: FloatArray
    middle: float
    unit: float
    bounds: tuple[float, float]
    highest: float = np.inf
    """In levels: what a forecast on logarithms does not exceed."""
    logarithmic: bool = False

    @classmethod
    def of(cls, values: FloatArray, *, logarithmic: bool = False) -> "Scale":
        """Find middle and unit; the unit of values that are all the same is one."""
        found = elementwise.log(values) if logarithmic else values
        middle = float(np.nanmedian(found))
        unit = float(np.nanmean(np.abs(found - middle))) or 1.0
        scaled = (found - middle) / unit
        low, high = float(np.nanmin(scaled)), float(np.nanmax(scaled))
        reach = _BEYOND * (high - low)
        bounds = (low - reach, high + reach)
        if not logarithmic:
            return cls(scaled, middle, unit, bounds)
        # One range of logarithms further out is a factor of the largest over the smallest value.
        top = float(np.nanmax(values))
        highest = top + _BEYOND * (top - float(np.nanmin(values)))
        return cls(scaled, middle, unit, bounds, highest, logarithmic)

    def back(self, scaled: FloatArray) -> FloatArray:
        """Turn forecasts back into levels, none further out than the bounds on either scale."""
        found = np.clip(scaled, *self.bounds) * self.unit + self.middle
        return np.minimum(elementwise.exp(found), self.highest) if self.logarithmic else found


def scales_of(values: FloatArray) -> Iterator[Scale]:
    yield Scale.of(values)
    if np.nanmin(values) > 0:
        yield Scale.of(values, logarithmic=True)
