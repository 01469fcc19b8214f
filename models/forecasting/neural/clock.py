"""The hour of the day and of the week (UTC) on a circle, the same bits for the same hour."""

import math

import numpy as np

from models.forecasting.forecaster import HOUR
from models.protocols import FloatArray

CLOCK = ("day_sin", "day_cos", "week_sin", "week_cos")
_DAY, _WEEK = 24, 168


def _turns(period: int) -> list[tuple[float, float]]:
    angles = [2 * math.pi * hour / period for hour in range(period)]
    return [(math.sin(angle), math.cos(angle)) for angle in angles]


_TABLE = np.array([day + week for day, week in zip(_turns(_DAY) * 7, _turns(_WEEK), strict=True)])


def clock(start: int, hours: int) -> FloatArray:
    """Give a row of CLOCK for each of the hours from `start`, epoch seconds."""
    first = start // HOUR
    return _TABLE[(first + np.arange(hours)) % _WEEK]
