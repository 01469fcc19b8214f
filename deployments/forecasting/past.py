"""The past of every entity as forecasters take it, straight from the history."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from features.hours.known import HOUR, NAMES, known_hours
from models.forecasting.forecaster import LONGEST_HORIZON, HourlySeries
from models.protocols import FloatArray


class Past(NamedTuple):
    """One entity's hours up to the present one."""

    start: int
    rate: FloatArray
    exchange: str | None
    """Whose calendar the rate follows; none where nobody has said."""


def past_of(stored: Mapping[str, Mapping[str, Any]]) -> dict[str, Past]:
    """Read what the history actor answers."""
    return {
        entity: Past(int(each["start"]), np.asarray(each["rate"], np.float64), each["exchange"])
        for entity, each in stored.items()
    }


def end_of(past: Mapping[str, Past]) -> int:
    """Give the second up to which hours are known; 0 where there are none."""
    return max((each.start + HOUR * len(each.rate) for each in past.values()), default=0)


def series_of(entity: str, past: Past, ahead: int = LONGEST_HORIZON) -> HourlySeries:
    """Lay the calendar beside the hours, past and to come."""
    known = known_hours(past.exchange, past.start, len(past.rate) + ahead)
    return HourlySeries(entity, past.start, past.rate, known, NAMES)


def unknown_entity(entity: str, now: float) -> HourlySeries:
    """Make the series of an entity that nobody has measured: no past, and nobody's calendar."""
    start = int(now) // HOUR * HOUR
    known = known_hours(None, start, LONGEST_HORIZON + 1)
    return HourlySeries(entity, start, np.zeros(0), known, NAMES)


def with_hour(series: HourlySeries, rate: float) -> HourlySeries:
    """Take the hour in progress as done, at this rate; what lies ahead then begins after it."""
    values = np.append(series.values, rate)
    ahead = len(values) + LONGEST_HORIZON
    known = series.known
    if len(known) < ahead:
        known = np.concatenate([known, np.repeat(known[-1:], ahead - len(known), axis=0)])
    return HourlySeries(series.entity, series.start, values, known, series.names)
