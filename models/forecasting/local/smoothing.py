"""Exponential smoothing whose weights are those that would have forecast this series best."""

import math

import numpy as np

from models.forecasting.local.smoothing_kernel import Weights, mean_error, smooth
from models.protocols import FloatArray, IntArray

_START = Weights(level=0.3, trend=0.0, damping=1.0, short_season=0.1, long_season=0.1, error=0.4)
_LEVELS = (0.02, 0.1, 0.3, 0.6, 0.9)
_TRENDS = ((0.0, 1.0), (0.02, 0.9), (0.02, 0.98), (0.1, 0.95))
_SEASONS = (0.02, 0.1, 0.3, 0.6)
_ERRORS = (0.0, 0.4, 0.8, 0.95)
_SWEEPS = 2
# How much the errors of one step count beside those of all steps, which are of fewer forecasts.
_ONE_STEP = 0.1


def smoothed(
    values: FloatArray, seasons: tuple[int, int], origins: IntArray, horizon: int, *, theta: bool
) -> FloatArray:
    """Forecast from each origin, with the weights of the least errors over those that are past."""
    past = origins[origins < len(values)]
    found = np.empty((len(past), horizon))

    def loss(weights: Weights) -> float:
        square = smooth(values, seasons, weights, theta, past, found)
        return mean_error(values, past, found) + _ONE_STEP * math.sqrt(square)

    best = _START
    if theta:
        best = best._replace(trend=0.0)
    least = loss(best)
    for _ in range(_SWEEPS):
        for each in _neighbours(seasons, theta=theta):
            tried = best._replace(**each)
            if tried != best and (lost := loss(tried)) < least:
                best, least = tried, lost
    forecasts = np.empty((len(origins), horizon))
    smooth(values, seasons, best, theta, origins, forecasts)
    return forecasts


def _neighbours(seasons: tuple[int, int], *, theta: bool) -> list[dict[str, float]]:
    """Name each weight's other values, one weight at a time."""
    tries: list[dict[str, float]] = [{"level": each} for each in _LEVELS]
    tries += [{"error": each} for each in _ERRORS]
    if seasons[0] > 1:
        tries += [{"short_season": each} for each in _SEASONS]
    if seasons[1] > 1:
        tries += [{"long_season": each} for each in _SEASONS]
    if not theta:
        tries += [{"trend": beta, "damping": phi} for beta, phi in _TRENDS]
    return tries
