"""Where in its past a series is forecast, to see how far forecasts go wrong.

Tashman, Out-of-sample tests of forecasting accuracy, International Journal of Forecasting 2000.
"""

import math

import numpy as np

from models.protocols import FloatArray, IntArray

MOST_ORIGINS = 64
_FEWEST_BEFORE = 4
# The share of the past that is fitted on before the first origin, at least.
_BEFORE = 0.4
# How far back the first origin lies at most: in horizons, and in the longest season.
_HORIZONS, _SEASONS = 20, 4


def origins_of(length: int, horizon: int, seasons: tuple[int, ...]) -> IntArray:
    """Give places in the values, rising; the last one is the end, whose forecast is the answer."""
    longest = max(seasons, default=1)
    far = max(_HORIZONS * horizon, _SEASONS * longest, MOST_ORIGINS)
    first = max(math.ceil(_BEFORE * length), length - far, _FEWEST_BEFORE)
    apart = max(-(-(length - first) // MOST_ORIGINS), 1)
    # Origins that lie whole seasons apart would see one place of the season only.
    while apart > 1 and any(math.gcd(apart, season) > 1 for season in seasons):
        apart += 1
    back = np.arange(0, length - first + 1, apart)
    return (length - back)[::-1].astype(np.int64)


def truths_of(values: FloatArray, origins: IntArray, horizon: int) -> FloatArray:
    """Give (origins, horizon): what came after each origin; NaN for what is to come or missing."""
    places = origins[:, None] + np.arange(horizon)
    known = places < len(values)
    return np.where(known, values[np.minimum(places, len(values) - 1)], np.nan)
