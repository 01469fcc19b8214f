"""Regressions of a series on its own lags: the values just before, and those a season before."""

import numpy as np

from models.forecasting.local.regression_kernel import regress
from models.forecasting.seasons import filled
from models.protocols import FloatArray, IntArray

# Values before a fit, for each weight that it finds.
_VALUES_A_WEIGHT = 3
_REFITS = 6
_FEW, _MANY = 4, 8


def lags_of(seasons: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Give the sets of lags to regress on: a few, and many."""
    few = {*range(1, _FEW + 1), *(season for each in seasons for season in (each, each + 1))}
    many = {*range(1, _MANY + 1)}
    for season in seasons:
        many |= {season - 1, season, season + 1, 2 * season - 1, 2 * season, 2 * season + 1}
    return tuple(tuple(sorted(lags)) for lags in (few, many))


def fewest_values(lags: tuple[int, ...]) -> int:
    """Tell how many values there must be before the first fit."""
    return max(lags) + _VALUES_A_WEIGHT * (len(lags) + 1)


def regressed(
    values: FloatArray,
    lags: tuple[int, ...],
    origins: IntArray,
    horizon: int,
    bounds: tuple[float, float],
) -> FloatArray:
    """Forecast from each origin, step by step; NaN before there are values enough for a fit."""
    forecasts = np.empty((len(origins), horizon))
    full = filled(values, lags[::-1])
    first = max(int(origins[0]), fewest_values(lags))
    refits = np.unique(np.linspace(first, len(values), _REFITS).astype(np.int64))
    regress(values, full, np.array(lags), refits, origins, bounds, forecasts)
    return forecasts
