"""Follows a fleet's points, one after the other; `models.anomaly.fleet` says what it computes."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.compiled import compiled

F64Array = NDArray[np.float64]

_FARTHEST = 1e60
_LEAST_SHARE, _LEAST = 1e-9, 1e-90  # a constant metric still has a noise, of its last digits


class Memory(NamedTuple):
    """A dimension is a metric of a member; the metrics of a member lie together."""

    past: F64Array
    """(window, dimensions): the last observations, in a ring."""
    odd: F64Array
    """(lasting, dimensions): the last distances in units of the noise, in a ring."""
    root_noise: F64Array
    """(dimensions)"""
    ordered: F64Array
    """(dimensions, window): each one's past in order; follows from it."""


class Rules(NamedTuple):
    prior: float
    warmup: int
    memory: int


@compiled
def follow(
    state: Memory, rules: Rules, weights: F64Array, points: F64Array, seen: int, said: F64Array
) -> None:
    """Take so many points after the first `seen`; write what each dimension says of each."""
    for row in range(points.shape[0]):
        _take(state, rules, weights.size, points[row], seen + row)
        for at in range(points.shape[1]):
            said[row, at] = weights[at % weights.size] * _oddness(state.odd[:, at])


@compiled
def _take(state: Memory, rules: Rules, metrics: int, point: F64Array, seen: int) -> None:
    """Say how far all dimensions are, in units of the noise so far, and learn from it."""
    learnt = min(max(seen - 1, 0), rules.memory)  # the first observation has no distance
    usual = _usual_root(state.root_noise, metrics)
    for at in range(point.size):
        off = point[at] - _middle(state.ordered[at], seen) if seen > 0 else 0.0
        own, units = state.root_noise[at], 0.0
        if seen >= rules.warmup:
            root = (learnt * own + rules.prior * usual[at % metrics]) / (learnt + rules.prior)
            least = max(_LEAST_SHARE * abs(point[at]), _LEAST)
            units = min(max(off / max(root * root, least), -_FARTHEST), _FARTHEST)
        if seen > 0:
            share = 1.0 / min(learnt + 1, rules.memory)
            state.root_noise[at] = own + share * (math.sqrt(abs(off)) - own)
        state.odd[seen % state.odd.shape[0], at] = units
        _remember(state, at, point[at], seen)


@compiled
def _remember(state: Memory, at: int, value: float, seen: int) -> None:
    """Put a value in the place of the oldest, and where it belongs in the order."""
    ordered, window = state.ordered[at], state.past.shape[0]
    here, last = seen, min(seen, window - 1)
    if seen >= window:
        here = np.searchsorted(ordered, state.past[seen % window, at])
    while here > 0 and ordered[here - 1] > value:
        ordered[here] = ordered[here - 1]
        here -= 1
    while here < last and ordered[here + 1] < value:
        ordered[here] = ordered[here + 1]
        here += 1
    ordered[here] = value
    state.past[seen % window, at] = value


@compiled
def _usual_root(root_noise: F64Array, metrics: int) -> F64Array:
    """Give each metric's mean over the members."""
    total = np.zeros(metrics)
    for at in range(root_noise.size):
        total[at % metrics] += root_noise[at]
    return total / (root_noise.size // metrics)


@compiled
def _middle(ordered: F64Array, seen: int) -> float:
    """Give the median of what is held."""
    held = min(seen, ordered.size)
    half = held // 2
    if held % 2 == 1:
        return float(ordered[half])
    return float((ordered[half - 1] + ordered[half]) / 2)


@compiled
def _oddness(units: F64Array) -> float:
    """Take the least of the distances where all are on one side, else 0: minus a log density."""
    low, high = units[0], units[0]
    for i in range(1, units.size):
        low, high = min(low, units[i]), max(high, units[i])
    lasting = max(low, 0.0) - min(high, 0.0)
    return math.log(1.0 + lasting * lasting)
