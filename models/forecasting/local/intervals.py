"""Intervals about the very forecast that is given, and how often such ones have held.

Ends are found on the series' own scale or, where all is positive, on the logarithm's: on that which
would have been the better one in the past.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from models import elementwise
from models.forecasting.local.widths import Looks, widths
from models.protocols import FloatArray, IntArray

# How often the past is cut into what intervals are formed from, and what they are held against.
_CUTS = 4
FEWEST_HELD_AGAINST = 20
# Errors no larger than this share of the values are the computer's.
_ROUNDING = 1e-9
_LEAST = 1e-300
_HIGHEST = 230.0  # e to this is 1e100


@dataclass(frozen=True, slots=True)
class Past:
    """Forecasts from past origins and, in the last row, the answer."""

    forecasts: FloatArray
    truths: FloatArray
    origins: IntArray
    positive: bool

    @property
    def horizon(self) -> int:
        return int(self.forecasts.shape[1])

    def until(self, end: int) -> "Past":
        """Forget what came from `end` on; its forecast is the answer then."""
        which = self.origins <= end
        origins = self.origins[which]
        unknown = origins[:, None] + np.arange(self.horizon) >= end
        truths = np.where(unknown, np.nan, self.truths[which])
        return Past(self.forecasts[which], truths, origins, self.positive)


@dataclass(frozen=True, slots=True)
class Ends:
    """Of shape (levels, origins, horizon)."""

    lower: FloatArray
    upper: FloatArray


@dataclass(frozen=True, slots=True)
class Calibrated:
    """How wide intervals are on a scale; (levels, horizon)."""

    width: FloatArray
    logarithmic: bool

    def about(self, forecasts: FloatArray) -> Ends:
        """Form the intervals about (origins, horizon) forecasts."""
        middle, width = _scaled(forecasts, self.logarithmic), self.width[:, None, :]
        lower, upper = middle - width, middle + width
        if self.logarithmic:
            lower, upper = elementwise.exp(lower), elementwise.exp(np.minimum(upper, _HIGHEST))
        return Ends(lower, upper)


def _scaled(values: FloatArray, logarithmic: bool) -> FloatArray:
    return elementwise.log(np.maximum(values, _LEAST)) if logarithmic else values


def calibrated(past: Past, levels: Sequence[float]) -> Calibrated | None:
    """Find how wide intervals must be; None where there are no errors, or none but nought."""
    found = [
        each
        for logarithmic in ((False, True) if past.positive else (False,))
        if (each := _on_scale(past, levels, logarithmic)) is not None
    ]
    if len(found) <= 1:
        return found[0] if found else None
    return min(found, key=lambda each: _score(each.about(past.forecasts), past.truths, levels))


def _on_scale(past: Past, levels: Sequence[float], logarithmic: bool) -> Calibrated | None:
    errors = _scaled(past.truths, logarithmic) - _scaled(past.forecasts, logarithmic)
    off = np.abs(past.truths - past.forecasts)
    if not np.nanmax(off, initial=0.0) > _ROUNDING * np.nanmax(np.abs(past.truths), initial=0.0):
        return None
    shown = int((~np.isnan(errors)).any(axis=1).sum())
    stretches = float(past.origins[-1] - past.origins[0]) / past.horizon
    width = widths(errors, Looks(stretches, shown), levels)
    return None if width is None else Calibrated(width, logarithmic)


def _score(ends: Ends, truths: FloatArray, levels: Sequence[float]) -> float:
    """Score intervals by width and by what lay outside (Gneiting and Raftery 2007)."""
    there = ~np.isnan(truths)
    total = 0.0
    for level, low, high in zip(levels, ends.lower, ends.upper, strict=True):
        outside = np.maximum(low - truths, 0.0) + np.maximum(truths - high, 0.0)
        total += float(np.mean((high - low + 2 / (1 - level) * outside)[there]))
    return total


def coverage_so_far(past: Past, levels: Sequence[float]) -> tuple[tuple[float, ...] | None, int]:
    """Hold past values against intervals formed from what was known before each stretch of them.

    None where there are fewer than twenty such values.
    """
    cuts = np.linspace(0, len(past.origins) - 1, _CUTS + 1).astype(np.int64)[1:].tolist()
    held, count = np.zeros(len(levels)), 0
    for cut, after in pairwise(cuts):
        known = calibrated(past.until(int(past.origins[cut])), levels)
        if known is None:
            continue
        ends, truths = known.about(past.forecasts[cut:after]), past.truths[cut:after]
        inside = (ends.lower <= truths) & (truths <= ends.upper)
        held += inside.sum(axis=(1, 2))
        count += int((~np.isnan(truths)).sum())
    if count < FEWEST_HELD_AGAINST:
        return None, count
    return tuple((held / count).tolist()), count
