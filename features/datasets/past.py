"""What was stored of one entity, as it answered at each moment.

A mapping that is corrected ends what the one before it gave (features/telemetry/mappings.py). So
the past is read once for each stretch of time in which the same mappings were in force, and a
moment is answered by the rows of its stretch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from features.datasets.rows import EntityRows, Floats, Ints, read_rows
from features.datasets.windows import Bools, Computed, Moments, is_known, values_of
from features.telemetry.mappings import endings
from features.telemetry.merged import scope_of
from features.telemetry.tables import ColumnStore


@dataclass(frozen=True, slots=True)
class Past:
    """One entity's rows, a set for each stretch between two corrections."""

    ends_ms: Ints
    """When a stretch ends and the next one begins, in order."""
    stretches: Sequence[EntityRows]

    def by_stretch(self, known_ms: Ints) -> Iterator[tuple[Ints, EntityRows]]:
        """Part questions by the stretch in which they are asked."""
        stretch = np.searchsorted(self.ends_ms, known_ms, side="right")
        for each in np.unique(stretch).tolist():
            yield np.flatnonzero(stretch == each), self.stretches[each]

    def is_known(self, moments: Moments, seconds: int) -> Bools:
        """Tell of which windows anything was known."""
        found = np.zeros(len(moments.at), dtype=np.bool_)
        for which, rows in self.by_stretch(moments.known_ms):
            found[which] = is_known(rows, moments.rows(which), seconds)
        return found

    def values_of(self, computed: Sequence[Computed], seconds: int, moments: Moments) -> Floats:
        """Compute features over windows of one length: a row a moment, a column a feature."""
        found = np.full((len(moments.at), len(computed)), np.nan)
        for which, rows in self.by_stretch(moments.known_ms):
            found[which] = values_of(rows, computed, seconds, moments.rows(which))
        return found


def read_pasts(
    store: ColumnStore,
    columns: Sequence[str],
    entities: Sequence[str],
    since: int,
    known_ms: tuple[int, int],
) -> Iterator[Past]:
    """Read the past of entities, which are sorted, for questions asked from a moment to another."""
    first_ms, last_ms = known_ms
    ends = endings(store, first_ms, last_ms)
    read = [
        read_rows(store, columns, scope_of(store, since, until // 1000 + 1, entities, until))
        for until in [*(each - 1 for each in ends), last_ms]
    ]
    for stretches in zip(*read, strict=True):
        yield Past(np.array(ends, dtype=np.int64), [rows for _, rows in stretches])
