"""The columns that say when a row is for: its entity's calendar, and whether changes are frozen.

The moments, the calendars and the freezes are handed in: nothing here asks a clock.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import numpy.typing as npt

from features.calendars.days import MINUTE
from features.calendars.of_entity import calendar_values
from features.calendars.sessions import sessions_between
from safety.columns import CALENDAR, FROZEN, MARKET_OPEN

Moments = npt.NDArray[np.float64]


class Window(Protocol):
    """A freeze: from its beginning on, in epoch seconds, and until just before its end."""

    @property
    def begins(self) -> float: ...
    @property
    def ends(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entity's clock hangs; None where nobody stated it."""

    exchange: str | None = None
    time_zone: str | None = None


NOWHERE = Place()


def time_columns(
    moments: Moments, places: Sequence[Place], freezes: Sequence[Window]
) -> dict[str, Moments]:
    """Give every time column of some rows; NaN for what an entity has no calendar of."""
    frozen = np.zeros(len(moments), dtype=np.bool_)
    for each in freezes:
        frozen |= (moments >= each.begins) & (moments < each.ends)
    said = [_said(place, moment) for place, moment in zip(places, moments.tolist(), strict=True)]
    calendar = {
        f"time.{name}": np.array([values[name] for _, values in said], dtype=np.float64)
        for name in CALENDAR
    }
    is_open = np.array([value for value, _ in said], dtype=np.float64)
    known = np.where(np.isfinite(moments), frozen, np.nan)
    return {MARKET_OPEN: is_open, FROZEN: known, **calendar}


def _said(place: Place, moment: float) -> tuple[float, dict[str, float]]:
    if not math.isfinite(moment):
        return math.nan, calendar_values(None, None, 0)
    minute = int(moment) // MINUTE * MINUTE
    by_calendar = calendar_values(place.exchange, place.time_zone, minute)
    return _market_open(place.exchange, minute), by_calendar


@lru_cache(maxsize=1024)
def _market_open(exchange: str | None, minute: int) -> float:
    """Tell whether the exchange trades in this minute; its lunch break is none of trading."""
    if exchange is None:
        return math.nan
    try:
        found = sessions_between(exchange, minute, minute + 1)
    except (ValueError, IndexError):
        return math.nan  # any four letters may be stated: of this place there is no calendar
    at_lunch = (found.break_starts <= minute) & (minute < found.break_ends)
    return float(bool((~at_lunch).any()))
