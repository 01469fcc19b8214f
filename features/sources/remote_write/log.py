"""Samples of the last few intervals: appended as they come, sorted when they are looked at."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.telemetry.columns import Bools, Floats, Ints

# The bits of the NaN by which Prometheus marks that a series has ended.
_STALE = np.uint64(0x7FF0000000000002)
# Repeats are removed once this many samples are new, and as many as are sorted: at each append it
# would take too long.
_MANY_NEW = 250_000


class Columns(NamedTuple):
    """Samples of several series, 20 bytes each."""

    rows: NDArray[np.int32]
    times: Ints  # milliseconds
    values: Floats

    def at(self, which: object) -> "Columns":
        return Columns(self.rows[which], self.times[which], self.values[which])  # type: ignore[call-overload] # whatever indexes one array indexes all three


_NONE = Columns(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0))


class SampleLog:
    """All samples that may still count."""

    def __init__(self) -> None:
        self._sorted = _NONE
        self._new: list[Columns] = []
        self._new_count = 0
        # Samples that another one of the same series and time came before, with another value.
        self.conflicts = 0

    def append(self, samples: Columns) -> None:
        self._new.append(samples)
        self._new_count += len(samples.times)
        if self._new_count > max(_MANY_NEW, len(self._sorted.times)):
            self.sorted()

    def sorted(self) -> Columns:
        """Give all samples, by series and then by time; of several of one time the first to come.

        What is sent twice, as after an answer that was lost, counts once by that.
        """
        if self._new:
            parts = (self._sorted, *self._new)
            rows, times, values = (np.concatenate(column) for column in zip(*parts, strict=True))
            everything = Columns(rows, times, values).at(np.lexsort((times, rows)))
            again = (np.diff(everything.rows) == 0) & (np.diff(everything.times) == 0)
            bits = everything.values.view(np.uint64)
            self.conflicts += int((again & (bits[1:] != bits[:-1])).sum())
            self._sorted = everything.at(np.append(True, ~again)) if again.any() else everything
            self._new, self._new_count = [], 0
        return self._sorted

    def forget(self, before: int) -> None:
        """Let go of the samples before a time, milliseconds."""
        found = self.sorted()
        self._sorted = found.at(found.times >= before)

    def renumber(self, numbers: Ints) -> None:
        """Give each series its new number."""
        found = self.sorted()
        self._sorted = found._replace(rows=numbers[found.rows].astype(np.int32))


def stale(values: Floats) -> Bools:
    """Tell which values mark the end of a series."""
    marked: Bools = np.ascontiguousarray(values).view(np.uint64) == _STALE
    return marked
