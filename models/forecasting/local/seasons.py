"""Which seasons a series has: those of the calendar that it shows, and one that it shows itself."""

import numpy as np

from models.forecasting.local.cadence import Cadence
from models.protocols import FloatArray

# Seasons that there must be of one to be read off.
_FEWEST, _MOST = 2, 2
# How much the values a season apart must have in common, without what lies between.
_SHOWN = 0.1
_OWN = 0.3
_SHORTEST_OWN = 3
# A season of 23 or 49 hours is the day, seen through noise.
_NEARLY = 0.1


def seasons_of(values: FloatArray, cadence: Cadence) -> tuple[int, ...]:
    """Give up to two seasons in steps, the shorter one first."""
    alike, known = _alike(values), cadence.seasons()
    calendar = [
        season for season in known if _FEWEST * season < len(values) and alike[season] > _SHOWN
    ]
    own = _own(alike, len(values))
    if own is not None and len(calendar) < _MOST and not any(_nearly(own, each) for each in known):
        calendar.append(own)
    return tuple(sorted(calendar))


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
    peaks = (here > alike[lags - 1]) & (here >= alike[lags + 1]) & (here > _OWN)
    if not peaks.any():
        return None
    highest = np.max(here[peaks])
    # Of a season its multiples are as alike: the shortest that is nearly so is meant.
    return int(lags[peaks & (here > 0.9 * highest)][0])


def _nearly(own: int, known: int) -> bool:
    """Say whether it is a known season, or so many of it, but for a little."""
    ratio = own / known
    return ratio > 1 - _NEARLY and abs(ratio - round(ratio)) < _NEARLY
