"""The trees of a robust random cut forest as flat arrays, and the three things done to them.

All trees hold the same points, so points and their multiplicities are stored once and a tree is
only its topology. A node is a number: leaf i is i, branch b is leaves + b. Where no node is, -1.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.anomaly.compiled import compiled

I16Array = NDArray[np.int16]
F64Array = NDArray[np.float64]
U64Array = NDArray[np.uint64]

NONE = -1
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_UNIT = 1.0 / (1 << 53)


class Trees(NamedTuple):
    root: I16Array
    """(trees)"""
    free: I16Array
    """(trees): the first free branch; `left` of a free branch is the next one."""
    parent: I16Array
    """(trees, leaves + branches)"""
    left: I16Array
    """(trees, branches)"""
    right: I16Array
    dimension: I16Array
    """(trees, branches): which coordinate the branch cuts; left is at or under the cut."""
    cut: F64Array
    count: I16Array
    """(trees, branches): points under the branch, repeated ones as often as they came."""
    low: F64Array
    """(trees, branches, dimensions): the smallest box that holds those points."""
    high: F64Array
    generator: U64Array
    """(trees): SplitMix64 (Steele, Lea and Flood 2014), one word of state."""


class Leaves(NamedTuple):
    points: F64Array
    """(leaves, dimensions)"""
    times: I16Array
    """(leaves): how often the window holds that very point; 0 when the leaf is free."""


@compiled
def uniform(generator: Any, tree: int) -> float:
    """Draw from the open interval (0, 1)."""
    generator[tree] += _GAMMA
    bits = generator[tree]
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    bits = bits ^ (bits >> np.uint64(31))
    return (np.float64(bits >> np.uint64(11)) + 0.5) * _UNIT


@compiled
def find(leaves: Leaves, point: F64Array) -> int:
    """Give the leaf that holds this very point, or none."""
    for leaf in range(leaves.times.size):
        if leaves.times[leaf] > 0:
            same = True
            for j in range(point.size):
                if leaves.points[leaf, j] != point[j]:
                    same = False
                    break
            if same:
                return leaf
    return NONE


@compiled
def recount(trees: Trees, tree: int, leaf: int, change: int) -> None:
    """Tell every branch above a leaf that it holds so many points more."""
    size = trees.parent.shape[1] - trees.left.shape[1]
    node = trees.parent[tree, leaf]
    while node != NONE:
        trees.count[tree, node - size] += change
        node = trees.parent[tree, node]


@compiled
def random_cut(
    trees: Trees, leaves: Leaves, tree: int, node: int, point: F64Array, weight: F64Array
) -> tuple[int, float]:
    """Cut the box of a node and a new point together at random, wide sides more often."""
    size = leaves.times.size
    total = 0.0
    for j in range(point.size):
        low, high = _side(trees, leaves, tree, node, size, j)
        total += (max(high, point[j]) - min(low, point[j])) * weight[j]
    rest = uniform(trees.generator, tree) * total
    chosen, cut = 0, 0.0
    for j in range(point.size):
        low, high = _side(trees, leaves, tree, node, size, j)
        low, high = min(low, point[j]), max(high, point[j])
        span = (high - low) * weight[j]
        if span > 0.0:
            chosen, cut = j, low + min(rest / weight[j], high - low)
            if rest <= span:
                break
        rest -= span
    return chosen, cut


@compiled
def _side(
    trees: Trees, leaves: Leaves, tree: int, node: int, size: int, j: int
) -> tuple[float, float]:
    if node < size:
        return leaves.points[node, j], leaves.points[node, j]
    return trees.low[tree, node - size, j], trees.high[tree, node - size, j]


@compiled
def insert(trees: Trees, leaves: Leaves, tree: int, leaf: int, weight: F64Array) -> None:
    """Hang a new leaf where a random cut first parts it from the rest (Guha et al., theorem 3)."""
    size = leaves.times.size
    point = leaves.points[leaf]
    node = trees.root[tree]
    if node == NONE:
        trees.root[tree] = leaf
        trees.parent[tree, leaf] = NONE
        return
    while True:
        j, cut = random_cut(trees, leaves, tree, node, point, weight)
        low, high = _side(trees, leaves, tree, node, size, j)
        if point[j] <= cut < low or (node < size and point[j] < low):
            _part(trees, leaves, tree, leaf, node, j, cut, True)
            return
        if high <= cut < point[j] or node < size:
            _part(trees, leaves, tree, leaf, node, j, cut, False)
            return
        branch = node - size
        under = point[trees.dimension[tree, branch]] <= trees.cut[tree, branch]
        node = trees.left[tree, branch] if under else trees.right[tree, branch]


@compiled
def _part(
    trees: Trees,
    leaves: Leaves,
    tree: int,
    leaf: int,
    node: int,
    dimension: int,
    cut: float,
    leaf_is_left: bool,
) -> None:
    """Put a branch between a node and what was above it, and the new leaf on its other side."""
    size = leaves.times.size
    branch = trees.free[tree]
    trees.free[tree] = trees.left[tree, branch]
    above = trees.parent[tree, node]
    trees.left[tree, branch] = leaf if leaf_is_left else node
    trees.right[tree, branch] = node if leaf_is_left else leaf
    trees.dimension[tree, branch] = dimension
    trees.cut[tree, branch] = cut
    trees.count[tree, branch] = 1 + (
        leaves.times[node] if node < size else trees.count[tree, node - size]
    )
    for j in range(leaves.points.shape[1]):
        low, high = _side(trees, leaves, tree, node, size, j)
        trees.low[tree, branch, j] = min(low, leaves.points[leaf, j])
        trees.high[tree, branch, j] = max(high, leaves.points[leaf, j])
    _replace(trees, tree, above, node, size + branch)
    trees.parent[tree, size + branch] = above
    trees.parent[tree, node] = size + branch
    trees.parent[tree, leaf] = size + branch
    while above != NONE:
        trees.count[tree, above - size] += 1
        for j in range(leaves.points.shape[1]):
            value = leaves.points[leaf, j]
            if value < trees.low[tree, above - size, j]:
                trees.low[tree, above - size, j] = value
            if value > trees.high[tree, above - size, j]:
                trees.high[tree, above - size, j] = value
        above = trees.parent[tree, above]


@compiled
def _replace(trees: Trees, tree: int, above: int, old: int, new: int) -> None:
    size = trees.parent.shape[1] - trees.left.shape[1]
    if above == NONE:
        trees.root[tree] = new
    elif trees.left[tree, above - size] == old:
        trees.left[tree, above - size] = new
    else:
        trees.right[tree, above - size] = new


@compiled
def forget(trees: Trees, leaves: Leaves, tree: int, leaf: int) -> None:
    """Take a leaf out: its sibling moves up, and the boxes above shrink to what is left."""
    size = leaves.times.size
    gone = trees.parent[tree, leaf]
    trees.parent[tree, leaf] = NONE
    if gone == NONE:
        trees.root[tree] = NONE
        return
    left, right = trees.left[tree, gone - size], trees.right[tree, gone - size]
    sibling = right if left == leaf else left
    above = trees.parent[tree, gone]
    trees.parent[tree, sibling] = above
    _replace(trees, tree, above, gone, sibling)
    trees.left[tree, gone - size] = trees.free[tree]
    trees.free[tree] = gone - size
    touched = True
    while above != NONE:
        trees.count[tree, above - size] -= 1
        touched = touched and _shrink(trees, leaves, tree, above - size, leaves.points[leaf])
        above = trees.parent[tree, above]


@compiled
def _shrink(trees: Trees, leaves: Leaves, tree: int, branch: int, point: F64Array) -> bool:
    """Fit the box of a branch to its two children; false when the point lay well inside it."""
    size = leaves.times.size
    touched = False
    for j in range(point.size):
        if trees.low[tree, branch, j] == point[j] or trees.high[tree, branch, j] == point[j]:
            touched = True
            one = _side(trees, leaves, tree, trees.left[tree, branch], size, j)
            two = _side(trees, leaves, tree, trees.right[tree, branch], size, j)
            trees.low[tree, branch, j] = min(one[0], two[0])
            trees.high[tree, branch, j] = max(one[1], two[1])
    return touched


@compiled
def codisp(trees: Trees, leaves: Leaves, tree: int, leaf: int) -> tuple[float, int]:
    """Collusive displacement of a leaf, and the coordinate of the cut that sets it apart most."""
    size = leaves.times.size
    node, inside = leaf, np.float64(leaves.times[leaf])
    most, where = 0.0, NONE
    while trees.parent[tree, node] != NONE:
        branch = trees.parent[tree, node] - size
        ratio = (trees.count[tree, branch] - inside) / inside
        if ratio > most:
            most, where = ratio, int(trees.dimension[tree, branch])
        node, inside = size + branch, np.float64(trees.count[tree, branch])
    return most, where


@compiled
def advance(
    trees: Trees,
    leaves: Leaves,
    window: I16Array,
    position: int,
    points: F64Array,
    weight: F64Array,
    score: F64Array,
    attribution: F64Array,
) -> None:
    """Take points one after the other: forget the oldest, insert the new one, score it."""
    many = trees.root.size
    for row in range(points.shape[0]):
        slot = (position + row) % window.size
        _leave(trees, leaves, window[slot])
        leaf = _enter(trees, leaves, points[row], weight)
        window[slot] = leaf
        for tree in range(many):
            most, where = codisp(trees, leaves, tree, leaf)
            score[row] += most
            if where != NONE:
                attribution[row, where] += most
        score[row] /= many
        attribution[row] /= many


@compiled
def _leave(trees: Trees, leaves: Leaves, leaf: int) -> None:
    if leaf == NONE:
        return
    leaves.times[leaf] -= 1
    for tree in range(trees.root.size):
        if leaves.times[leaf] > 0:
            recount(trees, tree, leaf, -1)
        else:
            forget(trees, leaves, tree, leaf)


@compiled
def _enter(trees: Trees, leaves: Leaves, point: F64Array, weight: F64Array) -> int:
    leaf = find(leaves, point)
    if leaf != NONE:
        leaves.times[leaf] += 1
        for tree in range(trees.root.size):
            recount(trees, tree, leaf, 1)
        return leaf
    leaf = 0
    while leaves.times[leaf] > 0:
        leaf += 1
    leaves.points[leaf] = point
    leaves.times[leaf] = 1
    for tree in range(trees.root.size):
        insert(trees, leaves, tree, leaf, weight)
    return leaf
