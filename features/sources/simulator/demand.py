"""How many requests arrive: what the calendar expects x market's mood x noise, plus floods."""

from functools import lru_cache

import numpy as np

from features.calendars.days import MINUTE, MINUTES_A_DAY, minutes_of
from features.sources.simulator.draws import generator, wander
from features.sources.simulator.expectation import expected_rate, growth
from features.sources.simulator.incidents import strain
from features.sources.simulator.regimes import DEMAND, UNREST, regime_at
from features.sources.simulator.services import Service
from features.telemetry.columns import Floats, Labels

_SLOW_NOISE, _FAST_NOISE, _KEEP = 0.12, 0.04, 0.96
_QUIET_FLOOD = 0.1  # floods at night build on at least this share of the trading rate


@lru_cache(maxsize=128)
def requests(seed: int, service: Service, day: int) -> Floats:
    """Count each minute's requests over a UTC day: Poisson, and at least a health probe.

    Read-only, since it is cached.
    """
    ts = minutes_of(day)
    regimes = regime_at(seed, service.exchange, ts)
    mood = 1 + service.trading_share * (DEMAND[regimes] - 1)
    expected = expected_rate(service, day)
    floor = _QUIET_FLOOD * service.rate * growth(service, day)
    flood = strain(seed, service.name, ts).flood * np.maximum(expected, floor)
    rate = expected * mood * _noise(seed, service, day, regimes) + flood
    counts = generator(seed, service.name, "requests", day).poisson(rate * MINUTE)
    arrived = np.maximum(counts, 1).astype(np.float64)
    arrived.setflags(write=False)
    return arrived


def _noise(seed: int, service: Service, day: int, regimes: Labels) -> Floats:
    """Draw log-normal noise with mean 1: an AR(1) over half an hour, and white noise on top."""
    slow = _SLOW_NOISE * UNREST[regimes]
    white = generator(seed, service.name, "demand white", day).standard_normal(MINUTES_A_DAY)
    log_noise = slow * wander(seed, service.name, "demand", day, keep=_KEEP) + _FAST_NOISE * white
    return np.exp(log_noise - (slow**2 + _FAST_NOISE**2) / 2)
