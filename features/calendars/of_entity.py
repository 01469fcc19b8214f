"""What the calendar says of a moment, to an entity with an exchange, a time zone, or neither."""

import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from features.calendars.days import DAY, day_number
from features.calendars.expiries import monthly_expiry
from features.calendars.sessions import (
    minutes_to_close,
    minutes_to_open,
    session_days,
    sessions_between,
    timezone,
)
from features.telemetry.columns import Ints

_MONDAY_TO_FRIDAY = 5
_OPENS, _SHUTS = 9, 17
_DECEMBER = 12


@lru_cache(maxsize=1024)
def calendar_values(exchange: str | None, time_zone: str | None, at: int) -> dict[str, float]:
    """Give every calendar feature at an epoch second; NaN for what the entity has no calendar of.

    The time zone is the exchange's where none is stated.
    """
    try:
        return _values(exchange, time_zone, at)
    except (ValueError, IndexError):
        # Any four letters may be stated; not of every such place is there a calendar.
        return _values(None, time_zone, at)


def _values(exchange: str | None, time_zone: str | None, at: int) -> dict[str, float]:
    found = dict.fromkeys((*_OF_ZONE, *_OF_EXCHANGE), math.nan)
    zone = ZoneInfo(time_zone) if time_zone else None
    if exchange is not None:
        zone = zone or timezone(exchange, datetime.fromtimestamp(at, UTC).year)
    if zone is not None:
        local = datetime.fromtimestamp(at, UTC).astimezone(zone)
        found |= {name: of(exchange, local) for name, of in _OF_ZONE.items()}
        if exchange is not None:
            found |= {name: of(exchange, local) for name, of in _OF_EXCHANGE.items()}
    return found


def _hour(_: str | None, local: datetime) -> float:
    return float(local.hour)


def _weekday(_: str | None, local: datetime) -> float:
    return float(local.weekday())


def _is_business(exchange: str | None, local: datetime) -> float:
    working = local.weekday() < _MONDAY_TO_FRIDAY and _OPENS <= local.hour < _SHUTS
    return float(working and (exchange is None or _trades(exchange, local.date())))


def _trades(exchange: str, day: date) -> bool:
    return bool(np.isin(day_number(day), session_days(exchange, day.year)))


def _to_open(exchange: str, local: datetime) -> float:
    return float(minutes_to_open(exchange, _seconds(local))[0])


def _to_close(exchange: str, local: datetime) -> float:
    return float(minutes_to_close(exchange, _seconds(local))[0])


def _is_half_day(exchange: str, local: datetime) -> float:
    today = day_number(local.date())
    near = sessions_between(exchange, (today - 1) * DAY, (today + 2) * DAY)
    return float(bool(near.half_days[near.days == today].any()))


def _to_expiry(exchange: str, local: datetime) -> float:
    today = local.date()
    expiry = monthly_expiry(exchange, today.year, today.month)
    if expiry < today:
        following = today.month % _DECEMBER + 1
        expiry = monthly_expiry(exchange, today.year + (following == 1), following)
    return float((expiry - today).days)


def _seconds(local: datetime) -> Ints:
    return np.array([int(local.timestamp())], dtype=np.int64)


_OF_ZONE: dict[str, Callable[[str | None, datetime], float]] = {
    "hour_of_day": _hour,
    "day_of_week": _weekday,
    "is_business_hours": _is_business,
}
_OF_EXCHANGE: dict[str, Callable[[str, datetime], float]] = {
    "minutes_to_open": _to_open,
    "minutes_to_close": _to_close,
    "is_half_day": _is_half_day,
    "days_to_expiry": _to_expiry,
}
