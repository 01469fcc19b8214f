"""New versions of a service: one to three a week, by day, Monday to Friday.

A version moves the logarithm of the latency by N(0, 0.03) against the service's base. About one in
eight is a regression that adds 0.25 to 0.6 until it is rolled back, 20 to 90 minutes later. The
first of a week never is, so what runs at any time is known from its week and the one before.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from features.calendars.days import DAY, MINUTE
from features.sources.simulator.draws import generator
from features.sources.simulator.weeks import week_start, weeks_touching
from features.telemetry.columns import Floats, Ints

_REGRESSIONS = 0.12
_ROLLING_MINUTES = 5
_OFFICE_HOURS = (7, 21)


@dataclass(frozen=True, slots=True)
class Deploy:
    start: int
    shift: float
    """What it does to the logarithm of the latency, against the service's base."""
    rolled_back: int | None
    """When it was taken back, if it was; then the version before it runs again."""


def deploys_between(seed: int, name: str, start: int, stop: int) -> tuple[Deploy, ...]:
    """Deploys that began in [start, stop)."""
    return tuple(d for d in _recent(seed, name, start, stop) if start <= d.start < stop)


def baseline_shift(seed: int, name: str, ts: Ints) -> Floats:
    """Add up what the running version does to the logarithm of the latency."""
    deploys = _recent(seed, name, int(ts[0]), int(ts[-1]) + 1)
    kept = [deploy for deploy in deploys if deploy.rolled_back is None]
    shifts = np.array([deploy.shift for deploy in kept])
    shift: Floats = shifts[_latest(kept, ts)]
    for deploy in deploys:
        if deploy.rolled_back is not None:
            shift[(ts >= deploy.start) & (ts < deploy.rolled_back)] += deploy.shift
    return shift


def minutes_since_restart(seed: int, name: str, ts: Ints) -> Floats:
    """Age of the processes: a deploy restarts them."""
    deploys = list(_recent(seed, name, int(ts[0]), int(ts[-1]) + 1))
    starts = np.array([deploy.start for deploy in deploys])
    age: Floats = (ts - starts[_latest(deploys, ts)]) / MINUTE
    return age


def rolling(seed: int, name: str, ts: Ints) -> Floats:
    """1 while workers restart one after another, in the first minutes of a deploy, else 0."""
    return (minutes_since_restart(seed, name, ts) < _ROLLING_MINUTES).astype(np.float64)


def _latest(deploys: list[Deploy], ts: Ints) -> Ints:
    starts = np.array([deploy.start for deploy in deploys])
    return np.searchsorted(starts, ts, side="right") - 1


def _recent(seed: int, name: str, start: int, stop: int) -> tuple[Deploy, ...]:
    weeks = weeks_touching(start, stop, before=1)
    return tuple(deploy for week in weeks for deploy in _week(seed, name, week))


@lru_cache(maxsize=4096)
def _week(seed: int, name: str, week: int) -> tuple[Deploy, ...]:
    rng = generator(seed, name, "deploys", week)
    count = int(rng.choice([1, 2, 3], p=[0.2, 0.6, 0.2]))
    weekday = rng.integers(0, 5, size=count)
    minute = rng.integers(_OFFICE_HOURS[0] * 60, _OFFICE_HOURS[1] * 60, size=count)
    starts = np.sort(week_start(week) + weekday * DAY + minute * MINUTE)
    return tuple(_deploy(rng, int(start), first=at == 0) for at, start in enumerate(starts))


def _deploy(rng: np.random.Generator, start: int, *, first: bool) -> Deploy:
    shift, harm = float(rng.normal(0, 0.03)), float(rng.uniform(0.25, 0.6))
    minutes_until_seen = int(rng.integers(20, 90))
    if first or rng.random() >= _REGRESSIONS:
        return Deploy(start, shift, rolled_back=None)
    return Deploy(start, harm, rolled_back=start + minutes_until_seen * MINUTE)
