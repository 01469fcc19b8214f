"""The demand that a calendar alone would expect, with no market mood, noise or incident in it.

rate x growth x weekday x expiry x (share x trading curve + (1 - share) x people's day)
"""

import math
from datetime import UTC, date, datetime
from functools import lru_cache

import numpy as np

from features.calendars.days import DAY, day_number, minutes_of, weekdays
from features.calendars.expiries import is_expiry
from features.calendars.phases import PHASES, day_phases
from features.calendars.sessions import (
    minutes_since_open,
    minutes_to_close,
    minutes_to_open,
    timezone,
)
from features.sources.simulator.services import Service
from features.telemetry.columns import Floats

_FOUNDED = day_number(date(2025, 1, 1))
_GROWTH_YEARS = 3.0
_WEEKDAY = np.array([1.02, 1.05, 1.0, 1.0, 0.93, 1.0, 1.0])
_EXPIRY = 1.25
_WEEKEND_PEOPLE = 0.35
_SATURDAY = 5
_NOON_OF_PEOPLE = 13.5
_LEVELS = {
    "closed": 0.006,
    "pre": 0.05,
    "open_auction": 0.9,
    "continuous": 0.8,
    "half_day": 0.75,
    "lunch": 0.12,
    "close_auction": 1.0,
    "post": 0.12,
}
_LEVEL_OF_CODE = np.array([_LEVELS[phase] for phase in PHASES])
_PRE, _OPEN_AUCTION, _CLOSE_AUCTION = (
    PHASES.index(phase) for phase in ("pre", "open_auction", "close_auction")
)
_TRADING = [PHASES.index(phase) for phase in ("continuous", "half_day")]


def growth(service: Service, day: int) -> float:
    """Grow since 2025-01-01: exponentially for some years, level in the far past and future."""
    years = (day - _FOUNDED) / 365.25
    return math.exp(service.growth * _GROWTH_YEARS * math.tanh(years / _GROWTH_YEARS))


@lru_cache(maxsize=128)
def expected_rate(service: Service, day: int) -> Floats:
    """Expect so many requests a second in each minute of a UTC day (read-only: it is cached)."""
    offset = _utc_offset(service.exchange, day)
    local_day = (minutes_of(day) + offset) // DAY
    expiry = np.where(is_expiry(service.exchange, local_day), _EXPIRY, 1.0)
    trading = _trading_curve(service, day) * expiry
    people = _peoples_day(day, offset)
    curve = service.trading_share * trading + (1 - service.trading_share) * people
    rate: Floats = service.rate * growth(service, day) * _WEEKDAY[weekdays(local_day)] * curve
    rate.setflags(write=False)
    return rate


def _trading_curve(service: Service, day: int) -> Floats:
    """Draw a U over the session, with spikes in the auctions.

    level of the phase x (1 + open_peak e^(-since/25) + close_peak e^(-left/18)), minutes.
    """
    ts, codes = minutes_of(day), day_phases(service.exchange, day)
    since, left = minutes_since_open(service.exchange, ts), minutes_to_close(service.exchange, ts)
    smile = 1 + service.open_peak * np.exp(-since / 25) + service.close_peak * np.exp(-left / 18)
    curve = _LEVEL_OF_CODE[codes]
    curve[codes == _OPEN_AUCTION] *= 1 + service.open_peak
    curve[codes == _CLOSE_AUCTION] *= 1 + service.close_peak
    curve = np.where(np.isin(codes, _TRADING), curve * smile, curve)
    waiting = 0.35 * np.exp(-minutes_to_open(service.exchange, ts) / 30)
    return np.where(codes == _PRE, curve + waiting, curve)


def _peoples_day(day: int, offset: int) -> Floats:
    """Follow people's day by local time, lower on weekends.

    0.1 + 0.9 e^(2 (cos(2 pi (hour - 13.5) / 24) - 1)).
    """
    local = minutes_of(day) + offset
    hour = (local % DAY) / 3600
    wave = 0.1 + 0.9 * np.exp(2 * (np.cos(2 * np.pi * (hour - _NOON_OF_PEOPLE) / 24) - 1))
    awake: Floats = np.where(weekdays(local // DAY) >= _SATURDAY, _WEEKEND_PEOPLE, 1.0) * wave
    return awake


def _utc_offset(exchange: str, day: int) -> int:
    """Tell by how many seconds local time is ahead at noon UTC; clocks change on idle nights."""
    noon = datetime.fromtimestamp(day * DAY + DAY // 2, tz=UTC)
    offset = noon.astimezone(timezone(exchange, noon.year)).utcoffset()
    return int(offset.total_seconds()) if offset else 0
