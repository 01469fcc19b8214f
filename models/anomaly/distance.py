"""How far an observation lies from where its stream has been of late.

The score that regime alarms are judged by. Change-point detection itself adapts to a new regime
within a few observations, so that its surprise is over before it has amounted to anything; this
reference moves slowly. It is an exponentially weighted mean and variance, to which an observation
adds three sds at most; the score is minus a Student-t log density, so that its tail is about
exponential for light and for heavy tails, summed over dimensions.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from models.anomaly.slots import grown
from models.compiled import compiled
from models.protocols import BoolArray, FloatArray, IntArray

_MEMORY = 256.0  # observations
_DEGREES = 4.0
_MOST = 3.0
_FARTHEST = 1e60
_FIRST = 16  # observations that only teach


class Reference(NamedTuple):
    mean: FloatArray
    """(streams, dimensions)"""
    variance: FloatArray
    seen: IntArray
    """(streams)"""


def empty(dimensions: int) -> Reference:
    """No streams yet."""
    return Reference(
        np.zeros((0, dimensions)), np.zeros((0, dimensions)), np.zeros(0, dtype=np.int64)
    )


def enlarged(reference: Reference, capacity: int) -> Reference:
    """Give the same with room for so many streams."""
    if capacity <= len(reference.seen):
        return reference
    return Reference(**grown(reference._asdict(), capacity))


def distances(
    reference: Reference, slots: IntArray, values: FloatArray
) -> tuple[FloatArray, BoolArray]:
    """Score rows in order, and say which of them came too early to be scored."""
    score, early = np.zeros(slots.size), np.zeros(slots.size, dtype=np.bool_)
    _advance(reference, slots, values, score, early)
    return score, early


@compiled
def _advance(reference: Reference, slots: Any, values: Any, score: Any, early: Any) -> None:
    for row in range(slots.size):
        slot = slots[row]
        count = reference.seen[slot]
        early[row] = count < _FIRST
        weight = max(1.0 / (count + 1.0), 1.0 / _MEMORY)
        for j in range(values.shape[1]):
            mean, variance = reference.mean[slot, j], reference.variance[slot, j]
            sd = max(math.sqrt(variance), 1e-9 * abs(mean), 1e-90)
            off = values[row, j] - mean
            z = min(max(off / sd, -_FARTHEST), _FARTHEST)
            if count >= _FIRST:
                score[row] += 0.5 * (_DEGREES + 1.0) * math.log1p(z * z / _DEGREES)
                off = min(max(z, -_MOST), _MOST) * sd
            reference.mean[slot, j] = mean + weight * off
            reference.variance[slot, j] = (1.0 - weight) * (variance + weight * off * off)
        reference.seen[slot] = count + 1
