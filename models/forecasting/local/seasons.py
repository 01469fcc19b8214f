"""Which seasons a series has: those of the calendar that it shows, and one that it shows itself."""

import math

import numpy as np

from models.forecasting.local.cadence import Cadence
from models.protocols import FloatArray

# Seasons that there must be of one to be read off.
_FEWEST, _MOST = 2, 2
# How much the values a season apart must have in common, without what lies between.
_SHOWN = 0.1
# Into so many means a long season is cut to see it, where each is of four values at least.
_PLACES, _LEAST_BLOCK = 24, 4
_OWN = 0.3
_SURE = 2.5
"""Standard errors of an autocorrelation where there is none."""
_SHORTEST_OWN = 3
# A season of 23 or 49 hours is the day, seen through noise.
_NEARLY = 0.1


def seasons_of(values: FloatArray, cadence: Cadence) -> tuple[int, ...]:
    """Give up to two seasons in steps, the shorter one first."""
    alike, known = _alike(values), cadence.seasons()
    calendar = [
        season
        for season in known
        if _FEWEST * season < len(values) and _is_shown(values, alike, season)
    ]
    own = _own(alike, len(values))
    if own is not None and len(calendar) < _MOST and not any(_nearly(own, each) for each in known):
        calendar.append(own)
    return tuple(sorted(calendar))


def _is_shown(values: FloatArray, alike: FloatArray, season: int) -> bool:
    """Say whether what lies a season apart is alike; of a long one in means of neighbours.

    From minute to minute the noise is all there is.
    """
    block = season // _PLACES
    if block < _LEAST_BLOCK:
        return bool(alike[season] > max(_SHOWN, 1 / math.sqrt(len(values) - season)))
    whole = len(values) // block * block
    blocks = values[len(values) - whole :].reshape(-1, block)
    there = ~np.isnan(blocks)
    counts = there.sum(axis=1)
    totals = np.where(there, blocks, 0.0).sum(axis=1)
    means = np.where(counts > 0, totals / np.maximum(counts, 1), np.nan)
    return bool(_alike(means)[round(season / block)] > _SHOWN)


def _alike(values: FloatArray) -> FloatArray:
    """Give the autocorrelation of the steps from value to value, at each lag.

    Steps and not values, for a level that wanders makes all lags alike.
    """
    steps = np.diff(values)
    there = ~np.isnan(steps)
    steps = np.where(there, steps - (np.mean(steps[there]) if there.any() else 0.0), 0.0)
    size = 1 << (2 * max(len(steps), 1) - 1).bit_length()
    power = np.abs(np.fft.rfft(steps, size)) ** 2
    counted = np.abs(np.fft.rfft(there.astype(np.float64), size)) ** 2
    products = np.fft.irfft(power, size)[: len(steps)]
    pairs = np.maximum(np.rint(np.fft.irfft(counted, size)[: len(steps)]), 1.0)
    means = products / pairs
    return np.concatenate([means / means[0] if means.size and means[0] > 0 else means * 0, [0.0]])


def _own(alike: FloatArray, length: int) -> int | None:
    """Find the lag at which the series is most like itself, a peak among its neighbours."""
    longest = length // (_FEWEST + 1)
    lags = np.arange(_SHORTEST_OWN, max(longest, _SHORTEST_OWN))
    if not lags.size:
        return None
    here = alike[lags]
    peaks = (
        (here > alike[lags - 1])
        & (here >= alike[lags + 1])
        & (here > max(_OWN, _SURE / math.sqrt(length)))
    )
    if not peaks.any():
        return None
    highest = np.max(here[peaks])
    # Of a season its multiples are as alike: the shortest that is nearly so is meant.
    return int(lags[peaks & (here > 0.9 * highest)][0])


def _nearly(own: int, known: int) -> bool:
    """Say whether it is a known season, or so many of it, but for a little."""
    ratio = own / known
    return ratio > 1 - _NEARLY and abs(ratio - round(ratio)) < _NEARLY
