"""Grows isolation trees where a stream runs: in about a millisecond, from a seed, to the bit.

The trees are those of Liu, Ting and Zhou (ICDM 2008) as scikit-learn grows them: distinct rows, a
random coordinate that still varies, a uniform cut, down to log2 of the rows.
"""

import math
from typing import Any

import numpy as np

from models.anomaly.isolation_kernel import LEAF, IsolationTrees, usual_depth
from models.compiled import compiled

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_UNIT = 1.0 / (1 << 53)


def empty(trees: int, samples: int) -> IsolationTrees:
    """Make room for trees of so many rows."""
    nodes = trees * (2 * samples - 1)
    return IsolationTrees(
        roots=np.arange(0, nodes, 2 * samples - 1, dtype=np.int32),
        left=np.full(nodes, LEAF, dtype=np.int32),
        right=np.full(nodes, LEAF, dtype=np.int32),
        feature=np.zeros(nodes, dtype=np.int32),
        threshold=np.zeros(nodes),
        usual=np.zeros(nodes),
    )


@compiled
def _uniform(state: Any) -> float:
    """Draw from the open interval (0, 1) by SplitMix64."""
    state[0] += _GAMMA
    bits = state[0]
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    bits = bits ^ (bits >> np.uint64(31))
    return (np.float64(bits >> np.uint64(11)) + 0.5) * _UNIT


@compiled
def _range(rows: Any, order: Any, begin: int, end: int, feature: int) -> tuple[float, float]:
    low = high = np.float64(rows[order[begin], feature])
    for i in range(begin + 1, end):
        value = np.float64(rows[order[i], feature])
        low, high = min(low, value), max(high, value)
    return low, high


@compiled
def _cut(
    rows: Any, order: Any, begin: int, end: int, features: Any, state: Any
) -> tuple[int, float]:
    """Choose a coordinate that varies here, and where to cut it; -1 when none varies."""
    left = features.size
    while left > 0:
        pick = int(_uniform(state) * left)
        feature = features[pick]
        features[pick], features[left - 1] = features[left - 1], feature
        low, high = _range(rows, order, begin, end, feature)
        if high > low:
            cut = low + _uniform(state) * (high - low)
            return int(feature), cut if cut < high else low
        left -= 1
    return LEAF, 0.0


@compiled
def _split(rows: Any, order: Any, begin: int, end: int, feature: int, cut: float) -> int:
    """Bring the rows at or under the cut to the front; give where the others begin."""
    middle = begin
    for i in range(begin, end):
        if np.float64(rows[order[i], feature]) <= cut:
            order[i], order[middle] = order[middle], order[i]
            middle += 1
    return middle


@compiled
def _draw(order: Any, samples: int, state: Any) -> None:
    """Bring distinct rows, drawn at random, to the front."""
    for i in range(order.size):
        order[i] = i
    for i in range(samples):
        pick = i + int(_uniform(state) * (order.size - i))
        order[i], order[pick] = order[pick], order[i]


@compiled
def _push(pending: Any, at: int, node: int, begin: int, end: int, depth: int) -> None:
    pending[at, 0], pending[at, 1] = node, begin
    pending[at, 2], pending[at, 3] = end, depth


@compiled
def grow(trees: IsolationTrees, rows: Any, samples: int, seed: np.uint64) -> None:
    """Fill the trees from rows; the same rows and seed give the same trees."""
    state = np.empty(1, dtype=np.uint64)
    state[0] = seed
    order = np.empty(rows.shape[0], dtype=np.int64)
    features = np.arange(rows.shape[1])
    deepest = math.ceil(math.log2(max(samples, 2)))
    pending = np.empty((2 * deepest + 4, 4), dtype=np.int64)  # node, begin, end, depth
    for root in trees.roots:
        _draw(order, samples, state)
        _push(pending, 0, int(root), 0, samples, 0)
        waiting, free = 1, int(root) + 1
        while waiting > 0:
            waiting -= 1
            node, begin = int(pending[waiting, 0]), int(pending[waiting, 1])
            end, depth = int(pending[waiting, 2]), int(pending[waiting, 3])
            trees.left[node] = trees.right[node] = LEAF
            trees.usual[node] = usual_depth(float(end - begin))
            if depth == deepest or end - begin < 2:  # noqa: PLR2004  one row is isolated
                continue
            feature, cut = _cut(rows, order, begin, end, features, state)
            if feature == LEAF:
                continue
            middle = _split(rows, order, begin, end, feature, cut)
            trees.feature[node], trees.threshold[node] = feature, cut
            trees.left[node], trees.right[node] = free, free + 1
            _push(pending, waiting, free, begin, middle, depth + 1)
            _push(pending, waiting + 1, free + 1, middle, end, depth + 1)
            waiting, free = waiting + 2, free + 2
