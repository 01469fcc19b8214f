"""Walks rows down isolation trees that lie in flat arrays."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.compiled import compiled

I32Array = NDArray[np.int32]
F64Array = NDArray[np.float64]

LEAF = -1
_PAIR = 2.0


class IsolationTrees(NamedTuple):
    roots: I32Array
    """(trees): where each begins in the arrays below."""
    left: I32Array
    """(nodes): LEAF where the walk ends."""
    right: I32Array
    feature: I32Array
    threshold: F64Array
    """(nodes): left is at or under it."""
    usual: F64Array
    """(nodes): how many more splits it takes, on average, to isolate one of its training rows."""


@compiled
def usual_depth(rows: float) -> float:
    """Give the mean depth of an unsuccessful search in a binary tree of so many rows."""
    if rows <= 1.0:
        return 0.0
    if rows <= _PAIR:
        return 1.0
    return 2.0 * (math.log(rows - 1.0) + np.euler_gamma) - 2.0 * (rows - 1.0) / rows


@compiled
def walk(
    trees: IsolationTrees, rows: Any, usual: float, score: F64Array, attribution: F64Array
) -> None:
    """Score rows; put each down to the features whose splits set it apart sooner than usual."""
    scale = max(usual, 1e-9) * trees.roots.size
    for row in range(rows.shape[0]):
        depth = 0.0
        for root in trees.roots:
            node = int(root)
            while trees.left[node] != LEAF:
                feature = trees.feature[node]
                under = np.float64(rows[row, feature]) <= trees.threshold[node]
                child = int(trees.left[node] if under else trees.right[node])
                gain = trees.usual[node] - 1.0 - trees.usual[child]
                attribution[row, feature] += gain / scale
                node, depth = child, depth + 1.0
            depth += trees.usual[node]
        score[row] = math.pow(2.0, -depth / scale) if usual > 0.0 else 0.5
