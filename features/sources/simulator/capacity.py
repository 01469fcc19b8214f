"""Workers, as an autoscaler gives them: on time for what the calendar expects, else late."""

from functools import lru_cache

import numpy as np

from features.calendars.days import MINUTE, MINUTES_A_DAY, minutes_of
from features.sources.simulator.demand import requests
from features.sources.simulator.deploys import rolling
from features.sources.simulator.draws import decaying_sum
from features.sources.simulator.expectation import expected_rate
from features.sources.simulator.services import Service
from features.telemetry.columns import Floats

_AHEAD = 10  # minutes by which scheduled scaling comes before the demand
_LATE = 2  # minutes until a worker that was asked for takes requests
_SMOOTHING = 0.65
_HOLD = 20  # minutes for which workers are kept after they were last needed
_BURST = 1.5  # the most workers, over those on schedule
_RESTARTING = 0.15  # share of the workers that a deploy takes away while it rolls


@lru_cache(maxsize=64)
def workers(seed: int, service: Service, day: int) -> Floats:
    """Count the workers in each minute of a UTC day.

    They follow the request rate, so that nothing makes up for requests that got slower.
    """
    scheduled = _workers_for(service, _scheduled(service, day))
    arrived = np.concatenate([requests(seed, service, d) for d in (day - 1, day)]) / MINUTE
    asked = _workers_for(service, observed(arrived))
    most = np.ceil(_BURST * scheduled)
    wanted = np.minimum(np.maximum(scheduled, asked), most)
    held = np.lib.stride_tricks.sliding_window_view(wanted, _HOLD).max(axis=1)[-MINUTES_A_DAY:]
    restarting = _RESTARTING * rolling(seed, service.name, minutes_of(day))
    active: Floats = np.maximum(1.0, np.floor(held * (1 - restarting)))
    active.setflags(write=False)
    return active


def _workers_for(service: Service, rate: Floats) -> Floats:
    needed: Floats = np.ceil(rate * service.work_ms / 1000 / service.utilisation)
    return np.maximum(needed, service.min_workers)


def _scheduled(service: Service, day: int) -> Floats:
    """Look ahead for the largest rate expected, for the day before and the day."""
    days = [expected_rate(service, d) for d in (day - 1, day, day + 1)]
    rates = np.concatenate(days)[: 2 * MINUTES_A_DAY + _AHEAD]
    ahead: Floats = np.lib.stride_tricks.sliding_window_view(rates, _AHEAD + 1).max(axis=1)
    return ahead


def observed(rate: Floats) -> Floats:
    """Smooth a rate and bring it late, as an autoscaler that polls a metric sees it."""
    smooth = (1 - _SMOOTHING) * decaying_sum(rate, _SMOOTHING)
    return np.concatenate([smooth[:1].repeat(_LATE), smooth[:-_LATE]])
