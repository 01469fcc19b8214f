"""Robust random cut forest: how much easier the rest would be to describe without this point.

Guha, Mishra, Roy and Schrijvers, Robust Random Cut Forest Based Anomaly Detection on Streams, ICML
2016; scored by collusive displacement (CoDisp) as in Bartos, Mullapudi and Troutman, rrcf, JOSS
2019: the largest ratio, over the subtrees that hold the point, of what moves when that subtree goes
to what goes. Every tree holds the last `size` points; a tree's displacement is put down to the
coordinate whose cut set that subtree apart, so the attribution of a point adds up to its score.
"""

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.anomaly import codec
from models.anomaly.inputs import checked_points, require_within
from models.anomaly.rrcf_kernel import NONE, advance
from models.anomaly.rrcf_trees import empty_leaves, empty_trees, packed, unpacked
from models.anomaly.scale import weights
from models.errors import ArtifactError, ModelError
from models.protocols import FloatArray

_KIND = "rrcf"
_MOST_POINTS = 8_192
_RESCALE_EVERY = 64


@dataclass(frozen=True)
class ForestSettings:
    trees: int = 40
    size: int = 256
    """How many points back a tree remembers."""
    shingle: int = 1
    """How many points in a row make up what is scored, so that an odd order is noticed too."""
    even: bool = True
    """Weigh coordinates by their usual spread; otherwise by their raw units, as the papers do."""

    as_rrcf: bool = True
    """Part two single points as the rrcf package does: by their first coordinate, at the larger."""

    def __post_init__(self) -> None:
        require_within("trees", self.trees, 1, 1_000)
        require_within("size", self.size, 2, _MOST_POINTS)
        require_within("shingle", self.shingle, 1, self.size)


@dataclass(frozen=True)
class ForestScores:
    score: FloatArray
    """(points); 0 until a whole shingle has come."""
    attribution: FloatArray
    """(points, dimensions); each row adds up to its score."""


class RandomCutForest:
    """One stream's forest. It changes with every point; one thread at a time."""

    def __init__(
        self, dimensions: int, settings: ForestSettings | None = None, *, seed: int = 0
    ) -> None:
        if dimensions < 1:
            raise ModelError(f"dimensions is {dimensions}: a point has at least one")
        self.settings = settings or ForestSettings()
        self.dimensions = dimensions
        self.seen = 0
        width = dimensions * self.settings.shingle
        self._trees = empty_trees(self.settings.trees, self.settings.size, width, seed)
        self._leaves = empty_leaves(self.settings.size, width)
        self._window = np.full(self.settings.size, NONE, dtype=np.int16)
        self._latest = np.zeros((self.settings.shingle - 1, dimensions))
        self._weight = np.ones(width)

    def advance(self, points: FloatArray) -> ForestScores:
        """Score points in their order, each before the next is known, and remember them."""
        given = checked_points(points, self.dimensions)
        scores = ForestScores(np.zeros(len(given)), np.zeros(given.shape))
        row = 0
        while row < len(given):
            end = min(len(given), row + _until_rescaled(self.seen))
            self._run(given[row:end], scores.score[row:end], scores.attribution[row:end])
            row = end
        return scores

    def nbytes(self) -> int:
        """Say how much memory the state takes."""
        state: list[NDArray[Any]] = [*self._trees, *self._leaves]
        return sum(array.nbytes for array in (*state, self._window, self._latest, self._weight))

    def encode(self) -> bytes:
        """Write the state down; what `decode` makes of it goes on to the same bits."""
        arrays = packed(self._trees, self._leaves) | {
            "window": self._window,
            "latest": self._latest,
            "weight": self._weight,
        }
        fixed = asdict(self.settings) | {"dimensions": self.dimensions, "seen": self.seen}
        return codec.encode(_KIND, fixed, arrays)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Take up what `encode` wrote; ArtifactError when it is damaged or of something else."""
        snapshot = codec.decode(data, _KIND)
        fixed: dict[str, Any] = dict(snapshot.settings)
        arrays = snapshot.arrays
        try:
            dimensions, seen = fixed.pop("dimensions"), fixed.pop("seen")
            forest = cls(dimensions, ForestSettings(**fixed))
            unpacked(arrays, forest._trees, forest._leaves)
            forest._window, forest._weight = arrays["window"], arrays["weight"]
            forest._latest = arrays["latest"]
        except (KeyError, TypeError, ValueError, ModelError) as error:
            raise ArtifactError(f"the snapshot is not of a forest: {error}") from error
        forest.seen = seen
        return forest

    def _run(self, points: FloatArray, score: FloatArray, attribution: FloatArray) -> None:
        """Take points up to the next change of the weights."""
        lags = self.settings.shingle
        history = np.concatenate([self._latest, points])
        by_dimension = [history[lag : lag + len(points)] for lag in range(lags)]
        wide = np.stack(by_dimension, axis=2).reshape(len(points), -1)
        skipped = min(max(0, lags - 1 - self.seen), len(points))
        by_lag = np.zeros((len(points) - skipped, wide.shape[1]))
        position = max(0, self.seen - (lags - 1))
        advance(
            self._trees,
            self._leaves,
            self._window,
            position,
            wide[skipped:],
            self._weight,
            self.settings.as_rrcf,
            score[skipped:],
            by_lag,
        )
        attribution[skipped:] = by_lag.reshape(len(by_lag), self.dimensions, lags).sum(axis=2)
        self._latest = history[len(history) - (lags - 1) :].copy()
        self.seen += len(points)
        if self.settings.even and _until_rescaled(self.seen - 1) == 1:
            held = self._leaves.points[self._leaves.times > 0]
            self._weight = weights(held, self.dimensions) if len(held) else self._weight


def _until_rescaled(seen: int) -> int:
    """Count the points to the next change of weights: at 2, 4, 8, ... and then regularly."""
    if seen < _RESCALE_EVERY:
        return (1 << max(seen, 1).bit_length()) - seen
    return _RESCALE_EVERY - seen % _RESCALE_EVERY
