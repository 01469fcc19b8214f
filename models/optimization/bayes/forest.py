"""A forest of extremely randomised trees: what it expects of a row, and how its trees disagree.

Geurts, Ernst & Wehenkel 2006, each tree grown on a bootstrap of the trials so that the disagreement
is honest where few were run. Unlike a Gaussian process it does not need the outcome to be equally
smooth everywhere, and columns of few levels suit it.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from models.protocols import FloatArray

TREES = 50
_LEAST_DEVIATION = 0.05
"""Of outcomes whose spread is 1: trees that agree by chance are not that sure."""


@dataclass(frozen=True, slots=True)
class Forest:
    trees: tuple[Any, ...]

    @classmethod
    def grow(cls, rows: FloatArray, outcomes: FloatArray, generator: np.random.Generator) -> Self:
        # scikit-learn takes seconds to import, and only these studies need it.
        from sklearn.tree import ExtraTreeRegressor  # noqa: PLC0415

        narrow, trees = rows.astype(np.float32), []
        for _ in range(TREES):
            drawn = generator.integers(len(rows), size=len(rows))
            tree = ExtraTreeRegressor(random_state=int(generator.integers(2**31)))
            # Already what the trees work in: checking it would take longer than growing them.
            tree.fit(narrow[drawn], outcomes[drawn], check_input=False)
            trees.append(tree.tree_)
        return cls(tuple(trees))

    def at(self, rows: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Expect, for each row, a mean and a standard deviation."""
        narrow = rows.astype(np.float32)
        votes = np.array([tree.predict(narrow).ravel() for tree in self.trees])
        return votes.mean(axis=0), np.hypot(votes.std(axis=0), _LEAST_DEVIATION)
