"""A booster's trees as flat arrays, walked by a compiled loop: XGBoost's own answer, to the bit.

A leaf is added to the base in float32, tree by tree in the booster's order, as XGBoost does. One
row through 150 trees takes some microseconds; XGBoost's `inplace_predict` takes 155, most of them
for the call itself. See docs/decisions/flat-trees.md.
"""

from typing import Any, NamedTuple, Self

import numpy as np
import orjson
from numpy.typing import NDArray

from models.compiled import compiled
from models.errors import ArtifactError
from models.tail.ubjson import decode

_LEAF = -1
_NUMERIC = 0  # the type of a split; others compare with sets of categories


class FlatTrees(NamedTuple):
    """All nodes of all trees, one after the other."""

    base: NDArray[np.float32]
    """What each output starts from."""
    roots: NDArray[np.int32]
    """Where each tree starts."""
    output: NDArray[np.int32]
    """Which output each tree adds to."""
    column: NDArray[np.int32]
    """Which input a node compares; -1 at a leaf."""
    value: NDArray[np.float32]
    """Inputs below it go left; at a leaf, what the tree adds."""
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    unknown: NDArray[np.int32]
    """Where a NaN goes: left or right."""

    @classmethod
    def of(cls, booster: bytes, inputs: int) -> Self:
        """Read a booster of so many inputs as XGBoost saved it; ArtifactError when it is none."""
        learner = decode(booster)
        try:
            return cls(*_arrays(learner["learner"], inputs))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ArtifactError(f"the bytes are not a booster of trees: {error!r}") from error

    def predict(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Sum the trees for each row: (rows, outputs)."""
        found: NDArray[np.float32] = _walk(np.ascontiguousarray(inputs, dtype=np.float32), *self)
        return found


def _arrays(learner: dict[str, Any], inputs: int) -> list[NDArray[Any]]:
    model = learner["gradient_booster"]["model"]
    trees = model["trees"]
    if any(np.any(tree["split_type"] != _NUMERIC) for tree in trees):
        raise ValueError("a split on categories")
    sizes = [len(tree["left_children"]) for tree in trees]
    roots = np.cumsum([0, *sizes[:-1]])
    first = np.repeat(roots, sizes)

    def nodes(name: str) -> NDArray[Any]:
        return np.concatenate([tree[name] for tree in trees])

    leaf = nodes("left_children") == _LEAF
    left, right = nodes("left_children") + first, nodes("right_children") + first
    columns: list[tuple[Any, type]] = [
        (orjson.loads(learner["learner_model_param"]["base_score"]), np.float32),
        (roots, np.int32),
        (model["tree_info"], np.int32),
        (np.where(leaf, _LEAF, nodes("split_indices")), np.int32),
        (nodes("split_conditions"), np.float32),
        (left, np.int32),
        (right, np.int32),
        (np.where(nodes("default_left") > 0, left, right), np.int32),
    ]
    arrays: list[NDArray[Any]] = [
        np.ascontiguousarray(values, dtype=kind) for values, kind in columns
    ]
    _refuse_wild(FlatTrees(*arrays), leaf, inputs)
    return arrays


def _refuse_wild(trees: FlatTrees, leaf: NDArray[np.bool_], inputs: int) -> None:
    """Refuse what would lead the compiled walk, which checks nothing, astray or in circles."""
    branch = np.flatnonzero(~leaf)
    ends = np.append(trees.roots[1:], trees.column.size)[
        np.searchsorted(trees.roots, branch, side="right") - 1
    ]
    for child in (trees.left[branch], trees.right[branch]):
        if np.any(child <= branch) or np.any(child >= ends):
            raise ValueError("a branch that leads out of its own tree")
    if trees.output.shape != trees.roots.shape or np.any(
        (trees.output < 0) | (trees.output >= trees.base.size)
    ):
        raise ValueError("a tree that adds to no output")
    if np.any((trees.column[branch] < 0) | (trees.column[branch] >= inputs)):
        raise ValueError(f"a split on none of the {inputs} inputs")


@compiled
def _walk(
    inputs: NDArray[np.float32],
    base: NDArray[np.float32],
    roots: NDArray[np.int32],
    output: NDArray[np.int32],
    column: NDArray[np.int32],
    value: NDArray[np.float32],
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    unknown: NDArray[np.int32],
) -> NDArray[np.float32]:
    found = np.empty((inputs.shape[0], base.size), np.float32)
    for row in range(inputs.shape[0]):
        found[row] = base
        for tree in range(roots.size):
            node = roots[tree]
            while column[node] >= 0:
                x = inputs[row, column[node]]
                if x < value[node]:
                    node = left[node]
                elif x >= value[node]:
                    node = right[node]
                else:
                    node = unknown[node]
            found[row, output[tree]] += value[node]
    return found
