"""Trees when they are empty, and as they are stored.

Stored are the topology and the cuts; parents, counts and boxes follow from them and the points,
to the bit, because minima and sums of small whole numbers do not depend on their order.
"""

from typing import Any

import numpy as np

from models.anomaly.codec import Arrays
from models.anomaly.rrcf_kernel import (
    COUNT,
    CUT,
    DIMENSION,
    LEFT,
    LINKS,
    LOW,
    NONE,
    PARENT,
    RIGHT,
    Leaves,
    Trees,
)
from models.compiled import compiled

_TOPOLOGY = (LEFT, RIGHT, DIMENSION)


def empty_leaves(size: int, width: int) -> Leaves:
    return Leaves(np.zeros((size + 1, width)), np.zeros(size + 1, dtype=np.int16))


def empty_trees(count: int, size: int, width: int, seed: int) -> Trees:
    """Grow no branch yet; all of them hang on each tree's list of free ones."""
    branches = size - 1
    links = np.zeros((count, branches, LINKS), dtype=np.int16)
    links[:, :, LEFT] = np.append(np.arange(1, branches), NONE)
    return Trees(
        root=np.full(count, NONE, dtype=np.int16),
        free=np.zeros(count, dtype=np.int16),
        above=np.full((count, size + 1), NONE, dtype=np.int16),
        links=links,
        box=np.zeros((count, branches, 1 + 2 * width)),
        generator=np.random.SeedSequence(seed).generate_state(count, np.uint64).astype(np.uint64),
    )


def packed(trees: Trees, leaves: Leaves) -> dict[str, Any]:
    return {
        "root": trees.root,
        "free": trees.free,
        "topology": trees.links[:, :, _TOPOLOGY],
        "cut": trees.box[:, :, CUT],
        "generator": trees.generator,
        **leaves._asdict(),
    }


def unpacked(arrays: Arrays, trees: Trees, leaves: Leaves) -> None:
    """Fill empty trees with what `packed` took; KeyError or ValueError when it does not fit."""
    for name, expected in packed(trees, leaves).items():
        if arrays[name].shape != expected.shape or arrays[name].dtype != expected.dtype:
            raise ValueError(f"{name} has shape {arrays[name].shape}, not {expected.shape}")
    for name, target in (("root", trees.root), ("free", trees.free)):
        target[:] = arrays[name]
    trees.generator[:] = arrays["generator"]
    trees.links[:, :, _TOPOLOGY] = arrays["topology"]
    trees.box[:, :, CUT] = arrays["cut"]
    leaves.points[:], leaves.times[:] = arrays["points"], arrays["times"]
    _derive(trees, leaves)


@compiled
def _derive(trees: Trees, leaves: Leaves) -> None:
    size = leaves.times.size
    waiting = np.empty(size, dtype=np.int16)
    for tree in range(trees.root.size):
        links = trees.links[tree]
        pending = 0
        if trees.root[tree] != NONE:
            waiting[0], pending = trees.root[tree], 1
            _set_parent(trees, tree, size, int(trees.root[tree]), NONE)
        while pending > 0:
            pending -= 1
            node = int(waiting[pending])
            if node >= size:
                links[node - size, COUNT] = 0
                for child in (links[node - size, LEFT], links[node - size, RIGHT]):
                    _set_parent(trees, tree, size, int(child), node)
                    waiting[pending] = child
                    pending += 1
        for leaf in range(size):
            if leaves.times[leaf] > 0:
                _count_in(trees, leaves, tree, leaf)


@compiled
def _set_parent(trees: Trees, tree: int, size: int, node: int, parent: int) -> None:
    if node < size:
        trees.above[tree, node] = parent
    else:
        trees.links[tree, node - size, PARENT] = parent


@compiled
def _count_in(trees: Trees, leaves: Leaves, tree: int, leaf: int) -> None:
    """Count a leaf in, and fit it into, every box above it."""
    size, width = leaves.points.shape
    node = int(trees.above[tree, leaf])
    while node != NONE:
        box, first = trees.box[tree, node - size], trees.links[tree, node - size, COUNT] == 0
        for j in range(width):
            value = leaves.points[leaf, j]
            box[LOW + j] = value if first else min(box[LOW + j], value)
            box[LOW + width + j] = value if first else max(box[LOW + width + j], value)
        trees.links[tree, node - size, COUNT] += leaves.times[leaf]
        node = int(trees.links[tree, node - size, PARENT])
