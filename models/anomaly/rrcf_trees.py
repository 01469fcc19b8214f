"""Trees when they are empty, and as they are stored.

Stored are the topology and the cuts; parents, counts and boxes follow from them and the points,
to the bit, because minima and sums of small whole numbers do not depend on their order.
"""

from typing import Any

import numpy as np

from models.anomaly.codec import Arrays
from models.anomaly.compiled import compiled
from models.anomaly.rrcf_kernel import NONE, Leaves, Trees

_STORED = ("root", "free", "left", "right", "dimension", "cut", "generator")


def empty_leaves(size: int, width: int) -> Leaves:
    return Leaves(np.zeros((size, width)), np.zeros(size, dtype=np.int16))


def empty_trees(count: int, size: int, width: int, seed: int) -> Trees:
    """Grow no branch yet; all of them hang on each tree's list of free ones."""
    branches = size - 1
    after = np.append(np.arange(1, branches), NONE).astype(np.int16)
    return Trees(
        root=np.full(count, NONE, dtype=np.int16),
        free=np.zeros(count, dtype=np.int16),
        parent=np.full((count, size + branches), NONE, dtype=np.int16),
        left=np.tile(after, (count, 1)),
        right=np.full((count, branches), NONE, dtype=np.int16),
        dimension=np.zeros((count, branches), dtype=np.int16),
        cut=np.zeros((count, branches)),
        count=np.zeros((count, branches), dtype=np.int16),
        low=np.zeros((count, branches, width)),
        high=np.zeros((count, branches, width)),
        generator=np.random.SeedSequence(seed).generate_state(count, np.uint64),
    )


def packed(trees: Trees, leaves: Leaves) -> dict[str, Any]:
    return {name: getattr(trees, name) for name in _STORED} | leaves._asdict()


def unpacked(arrays: Arrays, like: Trees, leaves: Leaves) -> tuple[Trees, Leaves]:
    """Rebuild what `packed` took; KeyError or ValueError when it is of another shape."""
    for name, expected in (*((n, getattr(like, n)) for n in _STORED), *leaves._asdict().items()):
        if arrays[name].shape != expected.shape or arrays[name].dtype != expected.dtype:
            raise ValueError(f"{name} has shape {arrays[name].shape}, not {expected.shape}")
    held = Leaves(arrays["points"], arrays["times"])
    trees = like._replace(**{name: arrays[name] for name in _STORED})
    _derive(trees, held)
    return trees, held


@compiled
def _derive(trees: Trees, leaves: Leaves) -> None:
    size = leaves.times.size
    waiting = np.empty(size, dtype=np.int16)
    trees.count[:] = 0
    for tree in range(trees.root.size):
        if trees.root[tree] == NONE:
            continue
        waiting[0], pending = trees.root[tree], 1
        while pending > 0:
            pending -= 1
            node = waiting[pending]
            if node >= size:
                for child in (trees.left[tree, node - size], trees.right[tree, node - size]):
                    trees.parent[tree, child] = node
                    waiting[pending] = child
                    pending += 1
        for leaf in range(size):
            if leaves.times[leaf] > 0:
                _raise(trees, leaves, tree, leaf)


@compiled
def _raise(trees: Trees, leaves: Leaves, tree: int, leaf: int) -> None:
    """Count a leaf in, and fit it into, every box above it."""
    size = leaves.times.size
    node = trees.parent[tree, leaf]
    while node != NONE:
        branch = node - size
        for j in range(leaves.points.shape[1]):
            value = leaves.points[leaf, j]
            first = trees.count[tree, branch] == 0
            if first or value < trees.low[tree, branch, j]:
                trees.low[tree, branch, j] = value
            if first or value > trees.high[tree, branch, j]:
                trees.high[tree, branch, j] = value
        trees.count[tree, branch] += leaves.times[leaf]
        node = trees.parent[tree, node]
