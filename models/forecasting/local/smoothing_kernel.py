"""Exponential smoothing with two seasons, compiled: forecasts from many origins in one pass.

Taylor, Short-term electricity demand forecasting using double seasonal exponential smoothing,
Journal of the Operational Research Society 2003, with his autoregression of the errors, and the
damped trend of Gardner and McKenzie (1985). With `theta` the slope is half of the least squares
line's so far: the theta method (Assimakopoulos and Nikolopoulos 2000; Hyndman and Billah 2003).

A state at an origin has seen nothing of what came after it, so that its forecast is one that would
have been made then.
"""

from typing import NamedTuple

import numpy as np

from models.compiled import compiled
from models.protocols import FloatArray, IntArray


class Weights(NamedTuple):
    """What the kernel takes, in its order."""

    level: float
    """alpha: how much of an error moves the level."""
    trend: float
    """beta."""
    damping: float
    """phi: how much of the trend is left a step later."""
    short_season: float
    """gamma of the shorter season."""
    long_season: float
    """gamma of the longer one."""
    error: float
    """lambda: how much of an error is left a step later."""


# Before so many values a line through them points anywhere.
_FEWEST_FOR_A_LINE = 6.0
# That a season is told apart into; a week of hours has so many.
_MOST_PLACES = 168


@compiled
def _block_of(season: int) -> int:
    """Tell how many steps share a place: of a day of minutes each has too few values by itself."""
    return max(season // _MOST_PLACES, 1)


@compiled
def _first_season(
    values: FloatArray, level: float, span: int, length: int, season: FloatArray
) -> None:
    """Take the mean at each place of a season over the first `span` values, drawn to nought."""
    block = _block_of(length)
    counts = np.ones(len(season))
    for at in range(span):
        if not np.isnan(values[at]):
            season[at % length // block] += values[at] - level
            counts[at % length // block] += 1.0
    season /= counts


@compiled
def smooth(  # noqa: C901, PLR0912, PLR0915 - one loop, compiled: a call would copy the state
    values: FloatArray,
    seasons: tuple[int, int],
    weights: tuple[float, float, float, float, float, float],
    theta: bool,
    origins: IntArray,
    forecasts: FloatArray,
) -> float:
    """Fill (origins, horizon) with forecasts; give the mean square of the errors of one step.

    A season of one step is none. What an origin forecasts begins at its place in the values.
    """
    alpha, beta, phi, gamma_1, gamma_2, left = weights
    count, horizon = len(values), forecasts.shape[1]
    short, long = seasons
    # The first state is of what the first origin has seen, and of no more.
    span = max(min(origins[0], 2 * max(short, long, 2)), 1)
    level, seen = 0.0, 0
    for at in range(span):
        if not np.isnan(values[at]):
            level += values[at]
            seen += 1
    level /= max(seen, 1)
    block_1, block_2 = _block_of(short), _block_of(long)
    season_1 = np.zeros((short - 1) // block_1 + 1)
    season_2 = np.zeros((long - 1) // block_2 + 1)
    if short > 1:
        _first_season(values, level, span, short, season_1)
    if long > 1:
        rest = values[:span].copy()
        for at in range(span):
            rest[at] -= season_1[at % short // block_1]
        _first_season(rest, level, span, long, season_2)
    if short == 1 and long == 1:
        level = values[0]
    slope, error, squares, steps = 0.0, 0.0, 0.0, 0
    # Of the least squares line through what is left without seasons.
    weight, mean_at, mean_value, spread, covariance = 0.0, 0.0, 0.0, 0.0, 0.0
    place = 0
    for at in range(count + 1):
        if theta:
            slope = 0.0
            if weight >= _FEWEST_FOR_A_LINE:
                slope = 0.5 * covariance / spread
        while place < len(origins) and origins[place] == at:
            risen, step, rest_error = 0.0, slope, error
            for ahead in range(horizon):
                if not theta:
                    step *= phi
                risen += step
                rest_error *= left
                forecasts[place, ahead] = (
                    level
                    + risen
                    + season_1[(at + ahead) % short // block_1]
                    + season_2[(at + ahead) % long // block_2]
                    + rest_error
                )
            place += 1
        if at == count:
            break
        drift = slope if theta else phi * slope
        seasonal = season_1[at % short // block_1] + season_2[at % long // block_2]
        value = values[at]
        if np.isnan(value):
            level += drift
            slope = drift
            error *= left
            continue
        off = value - level - drift - seasonal
        surprise = off - left * error
        squares += surprise * surprise
        steps += 1
        level += drift + alpha * surprise
        slope = drift + beta * surprise
        if short > 1:
            season_1[at % short // block_1] += gamma_1 * surprise
        if long > 1:
            season_2[at % long // block_2] += gamma_2 * surprise
        error = off
        weight += 1.0
        from_mean = at - mean_at
        mean_at += from_mean / weight
        mean_value += (value - seasonal - mean_value) / weight
        spread += from_mean * (at - mean_at)
        covariance += from_mean * (value - seasonal - mean_value)
    return squares / max(steps, 1)


@compiled
def mean_error(values: FloatArray, origins: IntArray, forecasts: FloatArray) -> float:
    """Give the mean size of the errors of those forecasts that have come true or not."""
    total, count = 0.0, 0
    for place in range(len(origins)):
        for ahead in range(forecasts.shape[1]):
            at = int(origins[place]) + ahead
            if at < len(values) and not np.isnan(values[at]):
                total += abs(forecasts[place, ahead] - values[at])
                count += 1
    return total / max(count, 1)
