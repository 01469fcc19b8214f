"""Waiting at a load: like rho^2 / (1 - rho), but smooth through 1 and bounded, as queues are."""

import numpy as np

from features.telemetry.columns import Floats

_SOFTNESS = 0.05
_WEIGHT = 0.15
_LONGEST = 25.0


def waiting(load: Floats) -> Floats:
    """Wait w / (1 + w/25) idle latencies, w = 0.15 rho^2 / g, with g a soft max(1 - rho, 0).

    g = (x + sqrt(x^2 + 4 k^2)) / 2 with x = 1 - rho and k = 0.05.
    """
    room = 1 - load
    gap = (room + np.sqrt(room**2 + 4 * _SOFTNESS**2)) / 2
    wait = _WEIGHT * load**2 / gap
    bounded: Floats = wait / (1 + wait / _LONGEST)
    return bounded


def shed(load: Floats) -> Floats:
    """Turn away this share of the requests once the queue is full: 1 - 1/rho past 1."""
    return np.maximum(0.0, 1 - 1 / np.maximum(load, 1.0))
