"""UTC days as plain numbers: a day counts from 1970-01-01, a minute is its first epoch second."""

from datetime import date, timedelta

import numpy as np

from features.telemetry.columns import Ints

MINUTE = 60
DAY = 86_400
MINUTES_A_DAY = 1_440

_EPOCH = date(1970, 1, 1)


def day_number(day: date) -> int:
    return (day - _EPOCH).days


def date_of(day: int) -> date:
    return _EPOCH + timedelta(days=day)


def minutes_of(day: int) -> Ints:
    """Epoch seconds at which the 1,440 minutes of a UTC day begin."""
    return day * DAY + MINUTE * np.arange(MINUTES_A_DAY, dtype=np.int64)


def weekdays(days: Ints) -> Ints:
    """Monday is 0; day 0 was a Thursday."""
    weekday: Ints = (days + 3) % 7
    return weekday
