"""The decisions of an experiment, by id, until newer ones push them out.

It is what rewards are matched against, however late they come, and what other policies are
evaluated on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidColumnError
from models.protocols import BoolArray, FloatArray, IntArray

ID_LENGTH = 64
_FIRST_ROWS = 64


class Status(IntEnum):
    PENDING = 0
    SETTLED = 1
    MISSING = 2
    WITHDRAWN = 3
    """Nobody was ever given it: it counts for nothing. Its place is among the next to be taken."""


@dataclass(slots=True)
class DecisionLog:
    """A ring of columns; row `recorded % capacity` is the next to be written.

    `recorded` counts the decisions that were given, and not yet taken back.
    """

    capacity: int
    recorded: int
    ids: NDArray[np.bytes_]
    decided_at: FloatArray
    contexts: FloatArray
    probabilities: FloatArray
    """Of every arm, an arm a column."""
    arms: IntArray
    on_baseline: BoolArray
    """Whether the arm was the baseline of the time."""
    rewards: FloatArray
    """In 0..1; NaN while there is none."""
    status: NDArray[np.int8]
    _rows: dict[bytes, int] = field(default_factory=dict, init=False, compare=False)

    @classmethod
    def empty(cls, capacity: int, width: int, arms: int) -> Self:
        rows = min(capacity, _FIRST_ROWS)
        return cls(
            capacity,
            0,
            np.zeros(rows, f"S{ID_LENGTH}"),
            np.zeros(rows),
            np.zeros((rows, width)),
            np.zeros((rows, arms)),
            np.zeros(rows, np.int64),
            np.zeros(rows, np.bool_),
            np.full(rows, np.nan),
            np.zeros(rows, np.int8),
        )

    def __post_init__(self) -> None:
        kept = self.ids[: self.kept].tolist()
        self._rows.update({name: row for row, name in enumerate(kept)})

    @property
    def kept(self) -> int:
        return min(self.recorded, self.capacity)

    def row_of(self, decision_id: str) -> int | None:
        return self._rows.get(decision_id.encode())

    def next_row(self) -> int | None:
        """Give the row that the next decision will push out; None when there is space."""
        return None if self.recorded < self.capacity else self.recorded % self.capacity

    def append(
        self,
        decision_id: str,
        now: float,
        context: FloatArray,
        probabilities: FloatArray,
        arm: int,
        *,
        on_baseline: bool,
    ) -> None:
        if self.recorded == len(self.ids) < self.capacity:
            self._double()
        row = self.recorded % self.capacity
        if self.recorded >= self.capacity:
            del self._rows[self.ids[row]]
        name = decision_id.encode()
        self.ids[row], self.decided_at[row], self.arms[row] = name, now, arm
        self.contexts[row], self.probabilities[row] = context, probabilities
        self.on_baseline[row], self.rewards[row] = on_baseline, np.nan
        self.status[row] = Status.PENDING
        self._rows[name] = row
        self.recorded += 1

    def overdue(self, before: float) -> list[int]:
        """Give the pending rows that were decided before a moment, the oldest first."""
        kept = slice(self.kept)
        late = (self.status[kept] == Status.PENDING) & (self.decided_at[kept] < before)
        return [row for row in self.in_order() if late[row]] if late.any() else []

    def in_order(self) -> list[int]:
        """Give all rows, the oldest decision first."""
        start = self.recorded % self.capacity if self.recorded > self.capacity else 0
        return [*range(start, self.kept), *range(start)]

    def add_arm(self) -> None:
        """Give older decisions a probability of 0 for an arm that did not exist."""
        self.probabilities = np.pad(self.probabilities, ((0, 0), (0, 1)))

    def take_back(self, rows: Sequence[int]) -> None:
        """Let nobody have been given these: they make room before any other decision does.

        Where the log is full they become its oldest rows, else they leave it.
        """
        gone = {*rows, *np.flatnonzero(self.status[: self.kept] == Status.WITHDRAWN).tolist()}
        order = self.in_order()
        self.status[list(rows)] = Status.WITHDRAWN
        self.recorded -= len(rows)
        left = [row for row in order if row not in gone]
        freed = [row for row in order if row in gone]
        start = self.recorded % self.capacity if self.recorded > self.capacity else 0
        taken = freed[len(freed) - (self.kept - len(left)) :] + left
        places = (start + np.arange(self.kept)) % self.capacity
        for name in COLUMNS:
            column = getattr(self, name)
            column[places] = column[taken]
        self._rows = {name: row for row, name in enumerate(self.ids[: self.kept].tolist())}

    def column(self, name: str) -> NDArray[np.generic]:
        """Give the rows of a column that were ever written."""
        found: NDArray[np.generic] = getattr(self, name)
        return found[: self.kept]

    def _double(self) -> None:
        more = min(max(len(self.ids), _FIRST_ROWS), self.capacity - len(self.ids))
        for name in COLUMNS:
            old = self.column(name)  # all of it: this is called when it is full
            setattr(self, name, np.concatenate([old, np.zeros((more, *old.shape[1:]), old.dtype)]))


COLUMNS = (
    "ids", "decided_at", "contexts", "probabilities", "arms", "on_baseline", "rewards", "status",
)  # fmt: skip


def checked_ids(ids: list[str]) -> list[str]:
    """Refuse ids that the log cannot hold, or the same one twice."""
    for row, name in enumerate(ids):
        if not 0 < len(name.encode()) <= ID_LENGTH or "\0" in name:
            reason = f"row {row} is {name!r}; it must be 1 to {ID_LENGTH} bytes, none of them zero"
            raise InvalidColumnError("decision_id", reason, [row])
    if len(set(ids)) < len(ids):
        raise InvalidColumnError("decision_id", "two rows have the same id")
    return ids
