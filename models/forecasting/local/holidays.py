"""Days that differ from their like: taken out of the past, and put back into the days to come.

How a holiday differs is the mean, at each place in the day, of what holidays were over what stood
there a week before and after; drawn to nothing where there were few. Where all is positive it is a
factor, elsewhere a difference.
"""

from dataclasses import dataclass

import numpy as np

from models import elementwise
from models.forecasting.local.cadence import DAY, WEEK, Cadence
from models.protocols import BoolArray, FloatArray

_DRAWN = 1.0
"""How many holidays without a difference stand beside those that were seen."""


@dataclass(frozen=True, slots=True)
class Holidays:
    """What was found, and how to go back."""

    usual: FloatArray
    """The values as they would have been on a usual day; NaN where nothing says."""
    effect: FloatArray
    """Of each step to come: a factor or a difference."""
    doubt: FloatArray
    """How much of it may be due to few holidays alone, as a share."""
    factor: bool
    seen: int
    """How many of the past's values lay on holidays and had a like."""

    def put_back(self, forecast: FloatArray) -> FloatArray:
        return forecast * self.effect if self.factor else forecast + self.effect

    def moved(self, forecast: FloatArray) -> FloatArray:
        """Give how far each end is moved out, for an effect that is not known well."""
        return np.asarray(np.abs(self.put_back(forecast) - forecast) * self.doubt)


def without_holidays(values: FloatArray, special: BoolArray, cadence: Cadence) -> Holidays:
    """Take the holidays out; `special` marks steps of the past and of those to come."""
    past, ahead = special[: len(values)], np.arange(len(values), len(special))
    factor = bool(np.nanmin(values) > 0)
    scaled = elementwise.log(values) if factor else values.copy()
    like = _alike(np.where(past, np.nan, scaled), max(WEEK // cadence.seconds, 1))
    differs = np.where(past, scaled - like, np.nan)
    a_day = max(DAY // cadence.seconds, 1)
    totals, counts = np.zeros(a_day), np.zeros(a_day)
    seen = np.flatnonzero(~np.isnan(differs))
    np.add.at(totals, seen % a_day, differs[seen])
    np.add.at(counts, seen % a_day, 1.0)
    means = totals / (counts + _DRAWN)
    effect = np.where(special[ahead], means[ahead % a_day], 0.0)
    doubt = np.where(special[ahead], 1 / (counts[ahead % a_day] + _DRAWN), 0.0)
    usual = np.where(past, like, scaled)
    if factor:
        effect, usual = elementwise.exp(effect), elementwise.exp(usual)
    return Holidays(usual, effect, doubt, factor, int(seen.size))


def _alike(values: FloatArray, week: int) -> FloatArray:
    """Give the mean of what stood a week before and after, or the one of them that was measured."""
    before, after = np.full(values.shape, np.nan), np.full(values.shape, np.nan)
    if len(values) > week:
        before[week:], after[:-week] = values[:-week], values[week:]
    both = (before + after) / 2
    return np.where(np.isnan(both), np.where(np.isnan(before), after, before), both)
