"""The market's mood on an exchange: calm, busy or volatile, for hours or days at a time.

Drawn a week at a time: two to five moments at random, each with a mood drawn afresh with odds
(0.62, 0.26, 0.12). Every week has a moment, so the mood at any time follows from its week and the
one before.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from features.calendars.days import MINUTE
from features.sources.simulator.draws import generator
from features.sources.simulator.weeks import WEEK, week_start, weeks_touching
from features.telemetry.columns import Ints, Labels

REGIMES = ("calm", "busy", "volatile")
"""A regime's label in the telemetry is its place here."""

DEMAND = np.array([1.0, 1.3, 1.75])
"""What each regime does to the demand of trading."""
UNREST = np.array([1.0, 1.25, 1.7])
"""What each does to the spread of its noise."""
_ODDS = (0.62, 0.26, 0.12)


@dataclass(frozen=True, slots=True)
class RegimeChange:
    start: int
    regime: int


def regime_at(seed: int, exchange: str, ts: Ints) -> Labels:
    moments = _moments(seed, exchange, int(ts[0]), int(ts[-1]) + 1)
    starts = np.array([moment.start for moment in moments])
    moods = np.array([moment.regime for moment in moments], dtype=np.int8)
    regimes: Labels = moods[np.searchsorted(starts, ts, side="right") - 1]
    return regimes


def regime_changes(seed: int, exchange: str, start: int, stop: int) -> tuple[RegimeChange, ...]:
    """List the moments in [start, stop) at which the mood became another."""
    moments = _moments(seed, exchange, start, stop)
    return tuple(
        moment
        for previous, moment in pairwise(moments)
        if moment.regime != previous.regime and start <= moment.start < stop
    )


def _moments(seed: int, exchange: str, start: int, stop: int) -> list[RegimeChange]:
    weeks = weeks_touching(start, stop, before=1)
    return [moment for week in weeks for moment in _week(seed, exchange, week)]


@lru_cache(maxsize=4096)
def _week(seed: int, exchange: str, week: int) -> tuple[RegimeChange, ...]:
    rng = generator(seed, exchange, "regimes", week)
    count = int(rng.integers(2, 6))
    minutes = np.sort(rng.integers(0, WEEK // MINUTE, size=count))
    moods = rng.choice(len(REGIMES), size=count, p=_ODDS)
    return tuple(
        RegimeChange(week_start(week) + int(minute) * MINUTE, int(mood))
        for minute, mood in zip(minutes, moods, strict=True)
    )
