"""What an exchange's calendar says of an hour: trading, edges of sessions, holidays, expiries.

All of it is known years ahead, so a forecast may lean on it for the hours to come. A row depends on
nothing but the exchange and the hour.
"""

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from features.calendars.days import DAY, MINUTE, date_of, day_number, minutes_of, weekdays
from features.calendars.expiries import is_expiry
from features.calendars.phases import PHASES, day_phases
from features.calendars.sessions import (
    minutes_since_open,
    minutes_to_close,
    minutes_to_open,
    session_days,
    sessions_between,
    timezone,
)
from features.telemetry.columns import Bools, Floats, Ints

HOUR = 3_600
NAMES = (
    "open",
    "pre",
    "post",
    "lunch",
    "open_auction",
    "close_auction",
    "opening",
    "closing",
    "hours_to_open",
    "hours_to_close",
    "half_day",
    "holiday",
    "holiday_eve",
    "after_holiday",
    "expiry",
    "quarter_expiry",
    "month_end",
    "weekend",
)
"""Columns of the matrix, each from 0 to 1: shares of the hour's minutes first, up to `closing`,
which with `opening` marks the hour after an open and the one before a close; how far the next open
and the next close are, in days, a day at most; then what kind of local date it is."""

NEUTRAL = np.array([float(name in ("hours_to_open", "hours_to_close")) for name in NAMES])
"""No session near, and no kind of date; a column that never changes teaches a model nothing."""
NEUTRAL.setflags(write=False)

_SHARES = ("pre", "post", "lunch", "open_auction", "close_auction")
_TRADING = ("continuous", "half_day", "open_auction", "close_auction")
_HOURS_A_DAY = 24
_SATURDAY = 5
_QUARTER = 3
_FRIDAY = 4


def known_hours(exchange: str | None, start: int, hours: int) -> Floats:
    """Give the matrix (hours, NAMES) of the hours from `start`, which begins an hour.

    Of what follows no exchange no hour is special: every row is NEUTRAL.
    """
    if start % HOUR:
        raise ValueError(
            f"{start} is not the start of an hour: give the second in which an hour begins"
        )
    if exchange is None:
        return np.tile(NEUTRAL, (hours, 1))
    first, last = start // DAY, (start + HOUR * max(hours, 1) - 1) // DAY
    days = np.concatenate([_hours_of_day(exchange, day) for day in range(first, last + 1)])
    skipped = (start - first * DAY) // HOUR
    return days[skipped : skipped + hours].copy()


def calendar_events(exchange: str, start: int, hours: int) -> Ints:
    """Count each hour's events: an open, a close, an early close, an expiry's close."""
    stop = start + HOUR * hours
    found = sessions_between(exchange, start - DAY, stop + DAY)
    expiry = is_expiry(exchange, found.days)
    count = np.zeros(hours, dtype=np.int64)
    closes = found.closes - 1  # what comes with a close comes before it
    for moments in (found.opens, closes, closes[found.half_days], closes[expiry]):
        within = moments[(moments >= start) & (moments < stop)]
        np.add.at(count, (within - start) // HOUR, 1)
    return count


@lru_cache(maxsize=4_096)
def _hours_of_day(exchange: str, day: int) -> Floats:
    """Give the 24 rows of a UTC day (read-only, since they are cached)."""
    columns = _shares(exchange, day) | _distances(exchange, day) | _dates(exchange, day)
    matrix = np.column_stack([columns[name] for name in NAMES]).astype(np.float64)
    matrix.setflags(write=False)
    return matrix


def _shares(exchange: str, day: int) -> dict[str, Floats]:
    codes, minutes = day_phases(exchange, day), minutes_of(day)
    phase = {name: codes == PHASES.index(name) for name in PHASES}
    trading = np.any([phase[name] for name in _TRADING], axis=0)
    since, left = minutes_since_open(exchange, minutes), minutes_to_close(exchange, minutes)
    found = {name: phase[name] for name in _SHARES} | {
        "open": phase["continuous"] | phase["half_day"],
        "opening": trading & (since < HOUR // MINUTE),
        "closing": trading & (left <= HOUR // MINUTE),
    }
    return {name: each.reshape(_HOURS_A_DAY, -1).mean(axis=1) for name, each in found.items()}


def _distances(exchange: str, day: int) -> dict[str, Floats]:
    hours = day * DAY + HOUR * np.arange(_HOURS_A_DAY, dtype=np.int64)
    a_day = DAY / MINUTE
    return {
        "hours_to_open": np.minimum(minutes_to_open(exchange, hours) / a_day, 1.0),
        "hours_to_close": np.minimum(minutes_to_close(exchange, hours) / a_day, 1.0),
    }


def _dates(exchange: str, day: int) -> dict[str, Bools]:
    dates = _local_dates(exchange, day)
    trading = _trading_days(exchange, dates)
    at = np.searchsorted(trading, dates)
    is_session = trading[at] == dates
    weekend = weekdays(dates) >= _SATURDAY
    before, after = trading[at - 1], trading[at + is_session]
    expiry = is_expiry(exchange, dates)
    months = np.array([date_of(int(each)).month for each in dates])
    next_months = np.array([date_of(int(each)).month for each in after])
    near = sessions_between(exchange, (day - 1) * DAY, (day + 2) * DAY)
    return {
        "half_day": np.isin(dates, near.days[near.half_days]),
        "holiday": ~is_session & ~weekend,
        "holiday_eve": is_session & _skips_weekday(dates, after),
        "after_holiday": is_session & _skips_weekday(before, dates),
        "expiry": expiry,
        "quarter_expiry": expiry & (months % _QUARTER == 0),
        "month_end": is_session & (next_months != months),
        "weekend": weekend,
    }


def _local_dates(exchange: str, day: int) -> Ints:
    zone: ZoneInfo = timezone(exchange, date_of(day).year)
    starts = range(day * DAY, (day + 1) * DAY, HOUR)
    moments = (datetime.fromtimestamp(ts, UTC).astimezone(zone) for ts in starts)
    return np.array([day_number(moment.date()) for moment in moments], dtype=np.int64)


def _trading_days(exchange: str, dates: Ints) -> Ints:
    """List the dates of sessions of the years around."""
    years = range(date_of(int(dates[0])).year - 1, date_of(int(dates[-1])).year + 2)
    return np.concatenate([session_days(exchange, year) for year in years])


def _skips_weekday(first: Ints, then: Ints) -> Bools:
    """Whether a weekday without a session lies between two sessions that follow each other."""
    plain = np.where(weekdays(first) == _FRIDAY, 3, 1)
    longer: Bools = then - first > plain
    return longer
