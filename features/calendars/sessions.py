"""Trading sessions of real exchanges, looked up a calendar year at a time.

The dates come from the library exchange_calendars, which knows holidays, half days and lunch breaks
of some sixty exchanges by their ISO 10383 codes (XNYS, XLON, XTKS ...).
"""

import warnings
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Self
from zoneinfo import ZoneInfo

import numpy as np

from features.calendars.days import DAY, MINUTE, date_of
from features.telemetry.columns import Bools, Floats, Ints

# Longer than any closure that matters here: Tokyo's Golden Week of 2019 took ten days.
_LONGEST_CLOSURE = 21 * DAY

# How pandas writes "no time" among nanoseconds.
_NO_TIME = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class Sessions:
    """Sessions in order of time, one a row: epoch seconds UTC, and local dates as day numbers.

    A session without a lunch break has one of no length at its close, so that nobody needs to ask.
    """

    days: Ints
    opens: Ints
    closes: Ints
    break_starts: Ints
    break_ends: Ints
    half_days: Bools

    def __len__(self) -> int:
        return len(self.days)

    def where(self, keep: Bools) -> Self:
        return type(self)(*(getattr(self, field.name)[keep] for field in fields(self)))

    @classmethod
    def concat(cls, parts: "list[Sessions]") -> Self:
        return cls(
            *(
                np.concatenate([getattr(part, field.name) for part in parts])
                for field in fields(cls)
            )
        )


def sessions_between(exchange: str, start: int, stop: int) -> Sessions:
    """Find the sessions that trade at some moment in [start, stop), epoch seconds."""
    # A session can belong to the neighbouring local date, hence to the neighbouring year.
    first, last = date_of((start - DAY) // DAY).year, date_of((stop + DAY) // DAY).year
    found = Sessions.concat([_sessions_of_year(exchange, y) for y in range(first, last + 1)])
    return found.where((found.closes > start) & (found.opens < stop))


def session_days(exchange: str, year: int) -> Ints:
    """List the local dates, as day numbers, on which the exchange trades in a year."""
    return _sessions_of_year(exchange, year).days


def minutes_to_open(exchange: str, ts: Ints) -> Floats:
    """Count the minutes until the next session opens; 0 in the very minute of an open."""
    opens = _around(exchange, ts).opens
    return (opens[np.searchsorted(opens, ts, side="left")] - ts) / MINUTE


def minutes_to_close(exchange: str, ts: Ints) -> Floats:
    """Count the minutes to the next close, of this session or else of the next; always above 0."""
    closes = _around(exchange, ts).closes
    return (closes[np.searchsorted(closes, ts, side="right")] - ts) / MINUTE


def minutes_since_open(exchange: str, ts: Ints) -> Floats:
    """Count the minutes since the latest open, whether that session is still on or over."""
    opens = _around(exchange, ts).opens
    return (ts - opens[np.searchsorted(opens, ts, side="right") - 1]) / MINUTE


def timezone(exchange: str, year: int) -> ZoneInfo:
    zone: ZoneInfo = _library_calendar(exchange, year).tz
    return zone


def _around(exchange: str, ts: Ints) -> Sessions:
    if not len(ts):
        none = np.zeros(0, dtype=np.int64)
        return Sessions(none, none, none, none, none, none.astype(np.bool_))
    return sessions_between(
        exchange, int(ts.min()) - _LONGEST_CLOSURE, int(ts.max()) + _LONGEST_CLOSURE
    )


@lru_cache(maxsize=128)
def _sessions_of_year(exchange: str, year: int) -> Sessions:
    calendar = _library_calendar(exchange, year)
    closes = _seconds(calendar.closes_nanos)
    has_break = calendar.break_starts_nanos > _NO_TIME
    return Sessions(
        days=_seconds(calendar.sessions_nanos) // DAY,
        opens=_seconds(calendar.opens_nanos),
        closes=closes,
        break_starts=np.where(has_break, _seconds(calendar.break_starts_nanos), closes),
        break_ends=np.where(has_break, _seconds(calendar.break_ends_nanos), closes),
        half_days=np.isin(calendar.sessions, calendar.early_closes),
    )


def _seconds(nanos: Ints) -> Ints:
    seconds: Ints = nanos // 1_000_000_000
    return seconds


@lru_cache(maxsize=128)
def _library_calendar(exchange: str, year: int) -> Any:
    # Imported here because it brings pandas along: a second that nobody should pay before asking
    # for a date.
    import exchange_calendars  # noqa: PLC0415 - see above

    with warnings.catch_warnings():
        # exchange_calendars 4.13 uses what pandas 3.1 announces to change in pandas 4.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return exchange_calendars.get_calendar(
                exchange, start=f"{year}-01-01", end=f"{year}-12-31"
            )
        except exchange_calendars.errors.InvalidCalendarName as error:
            known = ", ".join(exchange_calendars.get_calendar_names(include_aliases=False))
            message = f"there is no calendar for exchange {exchange!r}; use one of {known}"
            raise ValueError(message) from error
