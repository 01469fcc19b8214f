"""Isolation forest over the latest points of one stream, grown anew now and then.

Liu, Ting and Zhou, Isolation Forest, ICDM 2008. The score of a row is 2^(-h / c): h is its mean
depth, c the usual one, so 1/2 is ordinary and 1 as odd as can be.

Attribution: a split that leaves fewer rows than it should, for its one step, has shortened the
way; c(rows before) - 1 - c(rows after) is by how much. Summed over a path these are exactly c - h,
so a row's attributions, divided by c, add up to 1 + log2(score): above 0 they speak for oddness.

A point is scored by the trees before it is remembered. The trees depend on nothing but the points
they were grown from and the seed, so a stream that is written down leaves them out.
"""

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from models.anomaly import codec
from models.anomaly.inputs import checked_points, require_within
from models.anomaly.isolation_growth import empty, grow
from models.anomaly.isolation_kernel import usual_depth, walk
from models.errors import ArtifactError, ModelError
from models.protocols import FloatArray

_KIND = "isolation-stream"
_FARTHEST = 3e38  # float32
_ORDINARY = 0.5


@dataclass(frozen=True)
class IsolationScores:
    score: FloatArray
    attribution: FloatArray
    """(rows, dimensions); each row adds up to 1 + log2(score)."""


@dataclass(frozen=True)
class IsolationSettings:
    trees: int = 50
    samples: int = 128
    """How many points a tree is grown from."""
    window: int = 1_536
    """From how many of the latest points they are drawn."""
    regrow: int = 128
    """After how many points the forest is grown anew; the first time after so many, too."""

    def __post_init__(self) -> None:
        require_within("trees", self.trees, 1, 1_000)
        require_within("samples", self.samples, 2, 4_096)
        require_within("window", self.window, 2, 65_536)
        require_within("regrow", self.regrow, 2, self.window)


class IsolationStream:
    """One stream's forest. It changes with every point; one thread at a time."""

    def __init__(
        self, dimensions: int, settings: IsolationSettings | None = None, *, seed: int = 0
    ) -> None:
        if dimensions < 1:
            raise ModelError(f"dimensions is {dimensions}: a point has at least one")
        self.settings = settings or IsolationSettings()
        self.dimensions = dimensions
        self.seen = 0
        self._seed = np.random.SeedSequence(seed).generate_state(1, np.uint64)
        self._window = np.zeros((self.settings.window, dimensions), dtype=np.float32)
        self._grown_from = self._window[:0]
        self._trees = empty(self.settings.trees, self.settings.samples)

    def advance(self, points: FloatArray) -> IsolationScores:
        """Score points in their order, each before the next is known, and remember them."""
        given = checked_points(points, self.dimensions)
        narrow = np.clip(given, -_FARTHEST, _FARTHEST).astype(np.float32)
        scores = IsolationScores(np.full(len(given), _ORDINARY), np.zeros(given.shape))
        row, every = 0, self.settings.regrow
        while row < len(narrow):
            end = min(len(narrow), row + every - self.seen % every)
            if len(self._grown_from):
                usual = usual_depth(float(self._samples()))
                part = scores.score[row:end], scores.attribution[row:end]
                walk(self._trees, narrow[row:end], usual, *part)
            places = np.arange(self.seen, self.seen + end - row) % len(self._window)
            self._window[places] = narrow[row:end]
            self.seen += end - row
            if self.seen % every == 0:
                self._grown_from = self._window[: min(self.seen, len(self._window))].copy()
                self._grow()
            row = end
        return scores

    def nbytes(self) -> int:
        """Say how much memory the state takes."""
        return sum(a.nbytes for a in (*self._trees, self._window, self._grown_from))

    def encode(self) -> bytes:
        """Write the state down; what `decode` makes of it goes on to the same bits."""
        fixed = asdict(self.settings) | {"dimensions": self.dimensions, "seen": self.seen}
        arrays = {
            "seed": self._seed,
            "window": self._window[: min(self.seen, len(self._window))],
            "grown_from": self._grown_from,
        }
        return codec.encode(_KIND, fixed, arrays)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Take up what `encode` wrote; ArtifactError when it is damaged or of something else."""
        snapshot = codec.decode(data, _KIND)
        fixed: dict[str, Any] = dict(snapshot.settings)
        try:
            dimensions, seen = fixed.pop("dimensions"), fixed.pop("seen")
            stream = cls(dimensions, IsolationSettings(**fixed))
            held = snapshot.arrays["window"]
            stream._window[: len(held)] = held
            stream._grown_from = snapshot.arrays["grown_from"].reshape(-1, dimensions)
            stream._seed = snapshot.arrays["seed"]
        except (KeyError, TypeError, ValueError, ModelError) as error:
            raise ArtifactError(f"the snapshot is not of such a forest: {error}") from error
        stream.seen = seen
        if len(stream._grown_from):
            stream._grow()
        return stream

    def _samples(self) -> int:
        return min(self.settings.samples, len(self._grown_from))

    def _grow(self) -> None:
        """Draw anew each time: which time it is follows from what has been seen."""
        count = np.uint64(self.seen // self.settings.regrow)
        grow(self._trees, self._grown_from, self._samples(), self._seed[0] ^ count)
