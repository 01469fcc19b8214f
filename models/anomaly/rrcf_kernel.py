"""The trees of a robust random cut forest as flat arrays, and the three things done to them.

All trees hold the same points, so points and their multiplicities are stored once and a tree is
only its topology. A node is a number: leaf i is i, branch b is leaves + b. Where no node is, -1.
What belongs to a branch lies together in memory, and a point is taken through one tree after the
other: most of the time goes to waiting for memory.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.compiled import compiled

I16Array = NDArray[np.int16]
F64Array = NDArray[np.float64]

NONE = -1
PARENT, LEFT, RIGHT, DIMENSION, COUNT = range(5)
LINKS = 5
CUT, LOW = 0, 1
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_UNIT = 1.0 / (1 << 53)


class Trees(NamedTuple):
    root: I16Array
    """(trees)"""
    free: I16Array
    """(trees): the first free branch; LEFT of a free branch is the next one."""
    above: I16Array
    """(trees, leaves): the parent of each leaf."""
    links: I16Array
    """(trees, branches, LINKS): parent, children, which coordinate is cut (left is at or under the
    cut), and how many points are below, repeated ones as often as they came."""
    box: F64Array
    """(trees, branches, 1 + 2 coordinates): the cut, then the lower and the upper corner of the
    smallest box that holds those points."""
    generator: NDArray[np.uint64]
    """(trees): SplitMix64 (Steele, Lea and Flood 2014), one word of state."""


class Leaves(NamedTuple):
    points: F64Array
    """(leaves, coordinates): one more than the window, for a point that comes as one goes."""
    times: I16Array
    """(leaves): how often the window holds that very point; 0 when the leaf is free."""


@compiled
def _uniform(generator: Any, tree: int) -> float:
    """Draw from the open interval (0, 1)."""
    generator[tree] += _GAMMA
    bits = generator[tree]
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    bits = bits ^ (bits >> np.uint64(31))
    return (np.float64(bits >> np.uint64(11)) + 0.5) * _UNIT


@compiled
def _find(leaves: Leaves, point: Any) -> int:
    """Give the leaf that holds this very point, or none."""
    for leaf in range(leaves.times.size):
        same = leaves.times[leaf] > 0
        for j in range(point.size):
            if not same:
                break
            same = leaves.points[leaf, j] == point[j]
        if same:
            return leaf
    return NONE


@compiled
def _random_cut(low: Any, high: Any, point: Any, weight: Any, draw: float) -> tuple[int, float]:
    """Cut a box and a new point together at random, wide sides more often."""
    total = 0.0
    for j in range(point.size):
        total += (max(high[j], point[j]) - min(low[j], point[j])) * weight[j]
    rest = draw * total
    chosen, cut = 0, 0.0
    for j in range(point.size):
        begin = min(low[j], point[j])
        side = max(high[j], point[j]) - begin
        if side > 0.0:
            chosen, cut = j, begin + min(rest / weight[j], side)
            if rest <= side * weight[j]:
                break
        rest -= side * weight[j]
    return chosen, cut


@compiled
def _insert(trees: Trees, leaves: Leaves, tree: int, leaf: int, weight: Any, as_rrcf: bool) -> None:
    """Hang a new leaf where a random cut first parts it from the rest (Guha et al., theorem 3)."""
    size, width = leaves.points.shape
    point, links, boxes = leaves.points[leaf], trees.links[tree], trees.box[tree]
    node = int(trees.root[tree])
    if node == NONE:
        trees.root[tree] = leaf
        trees.above[tree, leaf] = NONE
        return
    while node >= size:
        branch = node - size
        low = boxes[branch, LOW : LOW + width]
        high = boxes[branch, LOW + width :]
        j, cut = _random_cut(low, high, point, weight, _uniform(trees.generator, tree))
        if cut < low[j] or high[j] <= cut < point[j]:
            _part(trees, leaves, tree, leaf, node, j, cut, point[j] < low[j], low, high)
            return
        under = point[links[branch, DIMENSION]] <= boxes[branch, CUT]
        node = int(links[branch, LEFT] if under else links[branch, RIGHT])
    other = leaves.points[node]
    j, cut = _random_cut(other, other, point, weight, _uniform(trees.generator, tree))
    if as_rrcf:
        j, cut = 0, max(other[0], point[0])
    _part(trees, leaves, tree, leaf, node, j, cut, point[j] <= other[j], other, other)


@compiled
def _part(
    trees: Trees,
    leaves: Leaves,
    tree: int,
    leaf: int,
    node: int,
    dimension: int,
    cut: float,
    is_left: bool,
    low: Any,
    high: Any,
) -> None:
    """Put a branch between a node and what was above it, and the new leaf on its other side."""
    size, width = leaves.points.shape
    point, links, boxes = leaves.points[leaf], trees.links[tree], trees.box[tree]
    branch = int(trees.free[tree])
    trees.free[tree] = links[branch, LEFT]
    links[branch, LEFT] = leaf if is_left else node
    links[branch, RIGHT] = node if is_left else leaf
    links[branch, DIMENSION] = dimension
    boxes[branch, CUT] = cut
    for j in range(width):
        boxes[branch, LOW + j] = min(low[j], point[j])
        boxes[branch, LOW + width + j] = max(high[j], point[j])
    if node < size:
        above, held = int(trees.above[tree, node]), int(leaves.times[node])
        trees.above[tree, node] = size + branch
    else:
        above, held = int(links[node - size, PARENT]), int(links[node - size, COUNT])
        links[node - size, PARENT] = size + branch
    links[branch, COUNT] = held + 1
    links[branch, PARENT] = above
    trees.above[tree, leaf] = size + branch
    _replace(trees, tree, size, above, node, size + branch)
    while above != NONE:
        links[above - size, COUNT] += 1
        box = boxes[above - size]
        for j in range(width):
            box[LOW + j] = min(box[LOW + j], point[j])
            box[LOW + width + j] = max(box[LOW + width + j], point[j])
        above = int(links[above - size, PARENT])


@compiled
def _replace(trees: Trees, tree: int, size: int, above: int, old: int, new: int) -> None:
    if above == NONE:
        trees.root[tree] = new
    elif trees.links[tree, above - size, LEFT] == old:
        trees.links[tree, above - size, LEFT] = new
    else:
        trees.links[tree, above - size, RIGHT] = new


@compiled
def _remove(trees: Trees, leaves: Leaves, tree: int, leaf: int) -> None:
    """Take a leaf out: its sibling moves up, and the boxes above shrink to what is left."""
    size = leaves.times.size
    links = trees.links[tree]
    gone = int(trees.above[tree, leaf])
    if gone == NONE:
        trees.root[tree] = NONE
        return
    branch = gone - size
    sibling = int(links[branch, RIGHT] if links[branch, LEFT] == leaf else links[branch, LEFT])
    above = int(links[branch, PARENT])
    if sibling < size:
        trees.above[tree, sibling] = above
    else:
        links[sibling - size, PARENT] = above
    _replace(trees, tree, size, above, gone, sibling)
    links[branch, LEFT] = trees.free[tree]
    trees.free[tree] = branch
    touched = True
    while above != NONE:
        links[above - size, COUNT] -= 1
        if touched:
            touched = _shrink(trees, leaves, tree, above - size, leaves.points[leaf])
        above = int(links[above - size, PARENT])


@compiled
def _shrink(trees: Trees, leaves: Leaves, tree: int, branch: int, point: Any) -> bool:
    """Fit the box of a branch to its two children; false when the point lay well inside it."""
    size, width = leaves.points.shape
    box, left = trees.box[tree, branch], int(trees.links[tree, branch, LEFT])
    right = int(trees.links[tree, branch, RIGHT])
    touched = False
    for j in range(width):
        for side in (LOW + j, LOW + width + j):
            if box[side] == point[j]:
                touched = True
                one = leaves.points[left, j] if left < size else trees.box[tree, left - size, side]
                two = (
                    leaves.points[right, j] if right < size else trees.box[tree, right - size, side]
                )
                box[side] = min(one, two) if side == LOW + j else max(one, two)
    return touched


@compiled
def _recount(trees: Trees, size: int, tree: int, leaf: int, change: int) -> None:
    """Tell every branch above a leaf that it holds so many points more."""
    node = int(trees.above[tree, leaf])
    while node != NONE:
        trees.links[tree, node - size, COUNT] += change
        node = int(trees.links[tree, node - size, PARENT])


@compiled
def _codisp(trees: Trees, leaves: Leaves, tree: int, leaf: int) -> tuple[float, int]:
    """Collusive displacement of a leaf, and the coordinate of the cut that sets it apart most."""
    size, links = leaves.times.size, trees.links[tree]
    node, inside = int(trees.above[tree, leaf]), float(leaves.times[leaf])
    most, where = 0.0, NONE
    while node != NONE:
        held = float(links[node - size, COUNT])
        if held > (most + 1.0) * inside:
            most, where = (held - inside) / inside, int(links[node - size, DIMENSION])
        node, inside = int(links[node - size, PARENT]), held
    return most, where


@compiled
def _place(leaves: Leaves, point: Any, old: int) -> tuple[int, bool]:
    """Find or make the leaf of a point; say whether it is new to the trees."""
    leaf = _find(leaves, point)
    if leaf != NONE:
        leaves.times[leaf] += 1
        return leaf, False
    leaf = 0
    while leaves.times[leaf] > 0 or leaf == old:
        leaf += 1
    leaves.points[leaf] = point
    leaves.times[leaf] = 1
    return leaf, True


@compiled
def advance(
    trees: Trees,
    leaves: Leaves,
    window: I16Array,
    position: int,
    points: F64Array,
    weight: F64Array,
    as_rrcf: bool,
    score: F64Array,
    attribution: F64Array,
) -> None:
    """Take points one after the other: forget the oldest, insert the new one, score it."""
    many, size = trees.root.size, leaves.times.size
    for row in range(points.shape[0]):
        slot = (position + row) % window.size
        old = int(window[slot])
        if old != NONE:
            leaves.times[old] -= 1
        leaf, is_new = _place(leaves, points[row], old)
        window[slot] = leaf
        for tree in range(many):
            if old != NONE and leaves.times[old] - (leaf == old) > 0:
                _recount(trees, size, tree, old, -1)
            elif old != NONE:
                _remove(trees, leaves, tree, old)
            if is_new:
                _insert(trees, leaves, tree, leaf, weight, as_rrcf)
            else:
                _recount(trees, size, tree, leaf, 1)
            most, where = _codisp(trees, leaves, tree, leaf)
            score[row] += most
            if where != NONE:
                attribution[row, where] += most
        score[row] /= many
        attribution[row] /= many
