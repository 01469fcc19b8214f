"""Tail ranks: rows that lie far out in their history, in few dimensions or in many.

Li, Zhao, Hu, Botta, Ionescu and Chen, ECOD, TKDE 2023: each dimension's value gets the tail
probability p of its history, and a row the sum of what they say. Here a dimension says (log p)^2,
between their plain sum (many mildly odd dimensions) and the largest alone (one very odd one). What
a dimension says is its attribution; a row's attributions add up to its score.
"""

from typing import Literal, Self, get_args

import numpy as np

from models.anomaly.inputs import checked_points
from models.errors import ModelError, TrainingDataError
from models.protocols import FloatArray

_FEWEST = 2

Tail = Literal["upper", "both"]


class TailRanks:
    """A fitted history. It never changes, and any number of threads may ask it at once."""

    def __init__(self, history: FloatArray, tail: Tail) -> None:
        self.dimensions = history.shape[1]
        self.tail = tail
        self._sorted = np.sort(history, axis=0)

    @classmethod
    def fit(cls, history: FloatArray, *, tail: Tail = "both") -> Self:
        """Take rows that are mostly ordinary; TrainingDataError when there are none."""
        rows = np.asarray(history)
        if rows.ndim != 2 or len(rows) < _FEWEST or rows.shape[1] < 1:  # noqa: PLR2004  a table
            raise TrainingDataError(f"history has shape {rows.shape}; give (rows, dimensions)")
        if tail not in get_args(Tail):
            raise ModelError(f"tail is {tail!r}: choose upper or both")
        return cls(checked_points(rows, rows.shape[1], "history"), tail)

    def tail_probability(self, points: FloatArray) -> FloatArray:
        """Give, for each row and dimension, the share of the history at least as far out."""
        given = checked_points(points, self.dimensions)
        count = len(self._sorted)
        p = np.empty_like(given)
        for j in range(self.dimensions):
            column, asked = self._sorted[:, j], given[:, j]
            above = count - np.searchsorted(column, asked, side="left")
            under = np.searchsorted(column, asked, side="right")
            nearer = above if self.tail == "upper" else 2 * np.minimum(above, under)
            p[:, j] = np.minimum((nearer + 1) / (count + 1), 1.0)
        return p

    def attribution(self, points: FloatArray) -> FloatArray:
        """Give what each dimension says about each row; rows add up to their scores."""
        said: FloatArray = np.square(np.log(self.tail_probability(points)))
        return said
