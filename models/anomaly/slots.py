"""Rows of a table of streams: handed out, taken back, and more of them when none is left."""

import heapq
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ArtifactError, InvalidColumnError, ModelError

Table = dict[str, NDArray[Any]]


class Slots:
    """Knows which rows are taken. The lowest free row goes first, so that memory stays dense."""

    def __init__(self, capacity: int = 0) -> None:
        self._free = list(range(capacity))
        self._taken: set[int] = set()
        self.capacity = capacity

    def __len__(self) -> int:
        return len(self._taken)

    def take(self) -> int:
        """Hand out a row; `capacity` has grown when there was none."""
        if not self._free:
            more = max(16, self.capacity)
            self._free = list(range(self.capacity, self.capacity + more))
            self.capacity += more
        slot = heapq.heappop(self._free)
        self._taken.add(slot)
        return slot

    def release(self, slot: int) -> None:
        self.require((slot,))
        self._taken.remove(slot)
        heapq.heappush(self._free, slot)

    def free_runs(self, least: int) -> list[tuple[int, int]]:
        """Give the runs, [from, to), of at least so many free rows."""
        taken = np.sort(np.fromiter(self._taken, np.int64, len(self._taken)))
        edges = np.concatenate([[-1], taken, [self.capacity]])
        found = np.flatnonzero(np.diff(edges) > least)
        return [(int(edges[at]) + 1, int(edges[at + 1])) for at in found.tolist()]

    def require(self, slots: Iterable[int]) -> None:
        """ModelError when one of them is not a stream's."""
        lost = set(slots) - self._taken
        if lost:
            raise ModelError(f"no stream has slot {min(lost)}: open one first")


def grown(table: Table, capacity: int) -> Table:
    """Give the same table with so many rows; new ones are zero and take no memory until written."""
    larger = {n: np.zeros((capacity, *a.shape[1:]), dtype=a.dtype) for n, a in table.items()}
    for name, array in table.items():
        larger[name][: len(array)] = array
    return larger


def fill(table: Mapping[str, NDArray[Any]], slot: int, state: Mapping[str, NDArray[Any]]) -> None:
    """Write a stream's state, whose arrays may be shorter, into its row; ArtifactError if not."""
    for name, rows in table.items():
        array, room = state.get(name), rows.shape[1:]
        if array is None or array.dtype != rows.dtype or array.ndim != len(room):
            raise ArtifactError(f"the snapshot has no valid {name}")
        if any(n > most for n, most in zip(array.shape, room, strict=True)):
            raise ArtifactError(
                f"the snapshot's {name} has shape {array.shape}, but here it must be {room}"
            )
        part: tuple[int | slice, ...] = (slot, *(slice(0, n) for n in array.shape))
        rows[part] = array


def checked_rows(name: str, values: Any, rows: int) -> NDArray[np.float64]:
    """Give one finite number a row; InvalidColumnError when there is another count of them."""
    given = np.array(values, dtype=np.float64)
    if given.ndim == 0:
        given = np.full(rows, float(given))
    if given.shape != (rows,):
        raise InvalidColumnError(name, f"has shape {given.shape}; give one number for each row")
    lost = np.flatnonzero(~np.isfinite(given))
    if lost.size:
        raise InvalidColumnError(name, f"row {lost[0]} is not a finite number", lost.tolist())
    return given
