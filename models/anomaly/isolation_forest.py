"""Isolation forest: rows that few random splits set apart are odd.

Liu, Ting and Zhou, Isolation Forest, ICDM 2008; scikit-learn fits the trees. The score of a row
is 2^(-h / c): h is its mean depth, c the usual one, so 1/2 is ordinary and 1 as odd as can be.

Attribution: a split that leaves fewer rows than it should, for its one step, has shortened the
way; c(rows before) - 1 - c(rows after) is by how much. Summed over a path these are exactly c - h,
so a row's attributions, divided by c, add up to 1 + log2(score): above 0 they speak for oddness.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.anomaly import codec
from models.anomaly.inputs import checked_points
from models.anomaly.isolation_kernel import IsolationTrees, usual_depth, walk
from models.errors import ArtifactError, TrainingDataError
from models.protocols import FloatArray

_KIND = "isolation-forest"
_FEWEST = 2
_FARTHEST = 3e38  # the trees compare in float32, as they were fitted


@dataclass(frozen=True)
class IsolationScores:
    score: FloatArray
    attribution: FloatArray
    """(rows, dimensions); each row adds up to 1 + log2(score)."""


class IsolationForest:
    """A fitted forest. It never changes, and any number of threads may ask it at once."""

    def __init__(self, trees: IsolationTrees, dimensions: int, samples: int) -> None:
        self.dimensions = dimensions
        self._trees = trees
        self._samples = samples

    @classmethod
    def fit(cls, history: FloatArray, *, seed: int, trees: int = 100, samples: int = 256) -> Self:
        """Fit to rows that are mostly ordinary; TrainingDataError when there are none."""
        rows = np.asarray(history)
        if rows.ndim != 2 or len(rows) < _FEWEST or rows.shape[1] < 1:  # noqa: PLR2004  a table
            raise TrainingDataError(f"history has shape {rows.shape}; give (rows, dimensions)")
        given = _narrow(checked_points(rows, rows.shape[1], "history"))
        drawn = min(samples, len(given))
        # Takes seconds to import, which only a fit needs.
        from sklearn.ensemble import IsolationForest as SklearnForest  # noqa: PLC0415 - see above

        fitted = SklearnForest(n_estimators=trees, max_samples=drawn, random_state=seed, n_jobs=1)
        fitted.fit(given)
        return cls(_flat([tree.tree_ for tree in fitted.estimators_]), rows.shape[1], drawn)

    def score(self, points: FloatArray) -> IsolationScores:
        """Score rows; the same bits for a row whatever it came with."""
        given = _narrow(checked_points(points, self.dimensions))
        scores = IsolationScores(np.zeros(len(given)), np.zeros(given.shape))
        usual = usual_depth(float(self._samples))
        walk(self._trees, given, usual, scores.score, scores.attribution)
        return scores

    def encode(self) -> bytes:
        fixed = {"dimensions": self.dimensions, "samples": self._samples}
        return codec.encode(_KIND, fixed, self._trees._asdict())

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Take up what `encode` wrote; ArtifactError when it is damaged or of something else."""
        snapshot = codec.decode(data, _KIND)
        try:
            fixed = snapshot.settings
            trees = IsolationTrees(**snapshot.arrays)
            return cls(trees, int(fixed["dimensions"]), int(fixed["samples"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"the snapshot is not of an isolation forest: {error}") from error


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
