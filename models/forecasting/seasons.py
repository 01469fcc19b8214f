"""What stood in a series whole seasons before each of the hours to come."""

import math
from collections.abc import Sequence

import numpy as np

from models.protocols import FloatArray


def seasons_before(values: FloatArray, lag: int, horizon: int, most: int) -> FloatArray:
    """Give (most, horizon): the value 1, 2, ... seasons before; NaN where none was measured.

    The first season is the nearest that is over: at 30 hours ahead, one of 24 reaches back 48.
    """
    ahead = np.arange(1, horizon + 1)
    whole = -(-ahead // lag) + np.arange(most)[:, None]
    places = len(values) - 1 + ahead - lag * whole
    if len(values) == 0:
        return np.full(places.shape, np.nan)
    return np.where(places >= 0, values[np.maximum(places, 0)], np.nan)


def latest_season(values: FloatArray, lag: int, horizon: int, most: int) -> FloatArray:
    """Give the nearest measured value a whole number of seasons before, at most `most` back."""
    return first_measured(seasons_before(values, lag, horizon, most))


def first_measured(rows: FloatArray) -> FloatArray:
    """Take from each column the uppermost that is not NaN."""
    found: FloatArray = rows[0].copy()
    for row in rows[1:]:
        np.copyto(found, row, where=np.isnan(found))
    return found


def filled(values: FloatArray, lags: Sequence[int]) -> FloatArray:
    """Fill gaps from one lag before, the longest lag that has a value there, then the last value.

    What lies before the first value stays NaN.
    """
    full = values.copy()
    for place in np.flatnonzero(np.isnan(full)).tolist():
        back = [full[place - lag] for lag in (*lags, 1) if place >= lag]
        full[place] = next((each for each in back if not math.isnan(each)), math.nan)
    return full
