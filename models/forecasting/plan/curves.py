"""What one worker's load does to its p99 and its processors, read both ways.

Load is the rate per worker in units of the entity, such that a busy worker's load is about its
share of processor: so entities whose requests cost microseconds and seconds share one axis, and
one that is new can borrow from all. Each curve rises strictly and is straight between points;
past the highest load that any entity was seen at it is infinite: nothing is known there.
"""

import numpy as np

from models.protocols import FloatArray

LOADS = np.linspace(0.0, 2.0, 81)
_LEAST_RISE = 1e-6 * np.arange(1, LOADS.size + 1)  # a level stretch could not be read backwards


def rising(values: FloatArray) -> FloatArray:
    """Make curves (..., loads) rise strictly, never below what they were."""
    risen: FloatArray = np.maximum.accumulate(values, axis=-1) + _LEAST_RISE
    return risen


def load_at(curve: FloatArray, target: FloatArray) -> FloatArray:
    """Give the highest load of each row's curve (n, loads) whose value is within its target.

    Nought where even an idle worker is past it. It never falls as the target rises.
    """
    piece = (curve <= target[:, None]).sum(axis=1) - 1
    rows, left = np.arange(len(target)), np.maximum(piece, 0)
    right = np.minimum(left + 1, LOADS.size - 1)
    low, high = curve[rows, left], curve[rows, right]
    # Beyond the last known load the curve is infinite, and the share of the step nought.
    step = np.where(high > low, high - low, np.inf)
    share = np.where(np.isfinite(target), target - low, 0.0) / step
    load: FloatArray = LOADS[left] + np.clip(share, 0, 1) * (LOADS[right] - LOADS[left])
    return np.where(piece < 0, 0.0, load)
