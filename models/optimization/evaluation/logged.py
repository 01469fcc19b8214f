"""Decisions on record whose rewards are known, as off-policy evaluation reads them."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from models.errors import InvalidColumnError
from models.protocols import BoolArray, FloatArray, IntArray

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class LoggedDecisions:
    """A row a decision, the oldest first; rewards in 0..1."""

    contexts: FloatArray
    arms: IntArray
    rewards: FloatArray
    probabilities: FloatArray
    """Of every arm, an arm a column, as they were when the arm was drawn."""

    def __post_init__(self) -> None:
        rows, arms = self.probabilities.shape
        _refuse(self.arms.shape != (rows,) or self.rewards.shape != (rows,) or
                len(self.contexts) != rows, "rows", "all columns must have the same")  # fmt: skip
        _refuse(bool(((self.arms < 0) | (self.arms >= arms)).any()), "arms", f"not 0 to {arms - 1}")
        _refuse(not bool(((self.rewards >= 0) & (self.rewards <= 1)).all()), "rewards", "not 0..1")
        check_chances(self.probabilities, (rows, arms), "probabilities")
        _refuse(bool((self.propensity <= 0).any()), "probabilities", "0 for an arm that was chosen")

    @property
    def propensity(self) -> FloatArray:
        return self.of_chosen(self.probabilities)

    def of_chosen(self, values: FloatArray) -> FloatArray:
        """Pick from one value an arm that of the arm which was chosen."""
        picked: FloatArray = values[np.arange(len(self.arms)), self.arms]
        return picked

    def where(self, rows: BoolArray | IntArray | slice) -> Self:
        return type(self)(
            self.contexts[rows], self.arms[rows], self.rewards[rows], self.probabilities[rows]
        )


def check_chances(chances: FloatArray, shape: tuple[int, ...], column: str) -> None:
    """Refuse what is no probability of every arm in every row."""
    _refuse(chances.shape != shape, column, f"has shape {chances.shape}, must be {shape}")
    sums = np.abs(chances.sum(axis=1) - 1) <= _ROUNDING
    _refuse(
        not bool((sums & (chances >= 0).all(axis=1)).all()), column, "must be 0 up and sum to 1"
    )


def _refuse(bad: bool, column: str, reason: str) -> None:
    if bad:
        raise InvalidColumnError(column, reason)
