"""A forest that scikit-learn fitted, in the arrays that the product's walk reads."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

from models.anomaly.isolation_kernel import IsolationTrees, usual_depth, walk
from models.anomaly.isolation_stream import IsolationScores
from models.protocols import FloatArray

_FARTHEST = 3e38  # the trees compare in float32, as they were fitted


class FittedForest:
    def __init__(self, trees: IsolationTrees, samples: int) -> None:
        self._trees = trees
        self._samples = samples

    @classmethod
    def fit(cls, history: FloatArray, *, seed: int, trees: int = 100, samples: int = 256) -> Self:
        drawn = min(samples, len(history))
        fitted = IsolationForest(n_estimators=trees, max_samples=drawn, random_state=seed, n_jobs=1)
        fitted.fit(_narrow(history))
        return cls(_flat([tree.tree_ for tree in fitted.estimators_]), drawn)

    def score(self, points: FloatArray) -> IsolationScores:
        given = _narrow(points)
        scores = IsolationScores(np.zeros(len(given)), np.zeros(given.shape))
        usual = usual_depth(float(self._samples))
        walk(self._trees, given, usual, scores.score, scores.attribution)
        return scores


def _narrow(rows: FloatArray) -> NDArray[np.float32]:
    return np.clip(rows, -_FARTHEST, _FARTHEST).astype(np.float32)


def _flat(trees: list[Any]) -> IsolationTrees:
    """Lay scikit-learn's trees end to end."""
    sizes = [tree.node_count for tree in trees]
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])

    def children(side: str) -> NDArray[np.int32]:
        moved = [
            np.where((own := getattr(tree, side)) < 0, -1, own + root)
            for tree, root in zip(trees, roots, strict=True)
        ]
        return np.concatenate(moved).astype(np.int32)

    rows = np.concatenate([tree.n_node_samples for tree in trees])
    return IsolationTrees(
        roots=roots.astype(np.int32),
        left=children("children_left"),
        right=children("children_right"),
        feature=np.concatenate([tree.feature for tree in trees]).astype(np.int32),
        threshold=np.concatenate([tree.threshold for tree in trees]).astype(np.float64),
        usual=np.array([usual_depth(float(n)) for n in rows]),
    )
