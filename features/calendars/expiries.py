"""Monthly option expiries: the third Friday, or the session before it if the exchange is shut."""

from datetime import date
from functools import lru_cache

import numpy as np

from features.calendars.days import date_of, day_number
from features.calendars.sessions import session_days
from features.telemetry.columns import Bools, Ints

_FRIDAY = 4


def monthly_expiry(exchange: str, year: int, month: int) -> date:
    """Find the day on which that month's options expire."""
    first = date(year, month, 1)
    third_friday = day_number(first) + (_FRIDAY - first.weekday()) % 7 + 14
    days = session_days(exchange, year)
    return date_of(int(days[np.searchsorted(days, third_friday, side="right") - 1]))


def is_expiry(exchange: str, days: Ints) -> Bools:
    """Whether each local date (a day number) is a monthly expiry."""
    years = {date_of(int(day)).year for day in np.unique(days)}
    expiries = [day for year in years for day in _expiries_of_year(exchange, year)]
    return np.isin(days, expiries)


@lru_cache(maxsize=128)
def _expiries_of_year(exchange: str, year: int) -> tuple[int, ...]:
    return tuple(day_number(monthly_expiry(exchange, year, month)) for month in range(1, 13))
