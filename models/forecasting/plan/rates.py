"""How rates behave around an hourly forecast: peaks within the hour, and surprises that last."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from models.forecasting.plan.telemetry import Entity, cadence
from models.protocols import FloatArray, IntArray

PERSISTENCE = 0.7
"""Share of a surprise that is left an hour later, where history is too short to say."""

HOUR, WEEK_HOURS = 3_600, 168
_FULL_HOUR = 0.75  # of its rows
_PEAK_MINUTE, _PEAKED_HOUR = 0.95, 0.75
_STEADIEST, _MOST_FLEETING = 0.95, 0.3
_FEWEST_WEEKS = 2


class Hours(NamedTuple):
    """An entity's full hours."""

    hour: IntArray
    """Since 1970."""
    rate: FloatArray
    """Mean of the minutes."""
    peak: FloatArray
    """The rate that one minute in twenty exceeds, over the mean."""

    @classmethod
    def of(cls, entity: Entity) -> Self:
        hour = entity.ts // HOUR
        order = np.lexsort((entity.rate, hour))
        hour, rate = hour[order], entity.rate[order]
        starts = np.flatnonzero(np.diff(hour, prepend=hour[0] - 1))
        size = np.diff(np.append(starts, hour.size))
        mean = np.add.reduceat(rate, starts) / size
        peak = rate[starts + np.floor(_PEAK_MINUTE * (size - 1)).astype(np.int64)]
        full = size >= _FULL_HOUR * HOUR / cadence(entity.ts)
        return cls(hour[starts][full], mean[full], (peak / mean)[full])


def peaks(hours: Sequence[Hours]) -> FloatArray:
    """Give for each entity and hour of the week how far minutes rise over the hour's mean.

    An open in the middle of an hour makes that hour's peak, not that of the others. Hours too
    seldom seen have the entity's usual peak, or that of all entities.
    """
    found = [_peaks(each) for each in hours]
    all_of_them = np.concatenate(found)
    usual = np.nanmedian(all_of_them) if np.isfinite(all_of_them).any() else 1.0
    return np.array([np.where(np.isnan(peak), usual, peak) for peak in found])


def persistence(hours: Sequence[Hours]) -> float:
    """Estimate what is left of a surprise after an hour: autocorrelation about the usual week."""
    found = [_autocorrelation(each) for each in hours]
    told = [value for value in found if value is not None]
    if not told:
        return PERSISTENCE
    return float(np.clip(np.median(told), _MOST_FLEETING, _STEADIEST))


def _peaks(hours: Hours) -> FloatArray:
    of_week = hours.hour % WEEK_HOURS
    seen = np.bincount(of_week, minlength=WEEK_HOURS)
    usual = float(np.quantile(hours.peak, _PEAKED_HOUR)) if hours.peak.size else np.nan
    found = np.full(WEEK_HOURS, usual)
    for hour in np.flatnonzero(seen >= _FEWEST_WEEKS):
        found[hour] = np.quantile(hours.peak[of_week == hour], _PEAKED_HOUR)
    return found


def _autocorrelation(hours: Hours) -> float | None:
    if hours.hour.size < _FEWEST_WEEKS * WEEK_HOURS:
        return None
    surprise, of_week = np.log(hours.rate), hours.hour % WEEK_HOURS
    for hour in np.unique(of_week):
        surprise[of_week == hour] -= np.median(surprise[of_week == hour])
    after = np.flatnonzero(np.diff(hours.hour) == 1)
    if not after.size or not surprise.any():
        return None
    now, then = surprise[after], surprise[after + 1]
    return float(np.sum(now * then) / max(np.sum(now * now), np.finfo(np.float64).tiny))
