"""Sines and cosines of the time of day, week and year, as Prophet forms them."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from models.protocols import FloatArray

_DAY = 86_400
_WORTH_KEEPING = 2_000  # times; longer stretches are of training, and asked for once


def fourier(seconds: FloatArray, period: float, order: int) -> FloatArray:
    """Give (times, 2 order): sin and cos of each harmonic in turn; the period is in days.

    The order of the operations is Prophet's, so that the bits are too.
    """
    turns = np.pi * 2 * (seconds / _DAY)
    columns = np.empty((len(seconds), 2 * order))
    for harmonic in range(order):
        angle = (harmonic + 1) / period * turns
        columns[:, 2 * harmonic] = np.sin(angle)
        columns[:, 2 * harmonic + 1] = np.cos(angle)
    return columns


@lru_cache(maxsize=128)
def fourier_ahead(start: int, step: int, steps: int, period: float, order: int) -> FloatArray:
    """Give the same for `steps` times from `start`; series that end together share the sines."""
    block = _fourier_from(start, step, steps, period, order)
    block.flags.writeable = False
    return block


def times(start: int, step: int, steps: int) -> FloatArray:
    """Give epoch seconds, exact in float64 for any date."""
    return (start + step * np.arange(steps)).astype(np.float64)


def waves(start: int, step: int, steps: int, seasons: Sequence[tuple[float, int]]) -> FloatArray:
    """Give the columns of several (period, order) beside one another."""
    form = fourier_ahead if steps <= _WORTH_KEEPING else _fourier_from
    blocks = [form(start, step, steps, period, order) for period, order in seasons]
    return np.hstack(blocks) if blocks else np.zeros((steps, 0))


def _fourier_from(start: int, step: int, steps: int, period: float, order: int) -> FloatArray:
    return fourier(times(start, step, steps), period, order)
