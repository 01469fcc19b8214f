"""The last safe answer of each entity of a family: a bounded table in memory, a row an entity."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatTable = npt.NDArray[np.float64]

MOST_ENTITIES = 10_000
# So many leave at once when the table is full: to look for the oldest one costs as much.
_LEAVE_AT_ONCE = 16


class Entry(NamedTuple):
    """One entity's last safe answer, as replicas hand it to each other."""

    entity: str
    at: float  # epoch seconds
    values: Mapping[str, float]


class LastSafe:
    """Holds these columns for each of the entities that were answered last.

    A batch is noted in one assignment, and found in one look: what a batch costs is some look-ups
    in a dictionary.
    """

    def __init__(self, fields: Sequence[str], most: int = MOST_ENTITIES) -> None:
        self.fields = tuple(fields)
        self.most = most
        self._slots: dict[str, int] = {}
        self._values: FloatTable = np.full((most, len(self.fields)), np.nan)
        self._at: FloatTable = np.full(most, np.nan)
        self._free = list(range(most - 1, -1, -1))
        self._changed: set[str] = set()

    def __len__(self) -> int:
        return len(self._slots)

    def note(self, entities: Sequence[str], columns: Sequence[FloatTable], now: float) -> None:
        """Keep the answers of these rows, a column a field; of several of one entity the last."""
        if len(entities) == 1:
            self._note_one(entities[0], [column.item() for column in columns], now)
            return
        rows = self._rows(entities)
        self._values[rows] = np.array(columns).T
        self._at[rows] = now
        self._changed.update(entities)

    def find(self, entities: Sequence[str]) -> tuple[dict[str, FloatTable], FloatTable]:
        """Give the columns of these rows and when each was answered; NaN where none is known."""
        slots = np.array([self._slots.get(entity, -1) for entity in entities], dtype=np.intp)
        known = slots >= 0
        values = np.where(known[:, None], self._values[slots], np.nan)
        columns = {field: values[:, at] for at, field in enumerate(self.fields)}
        return columns, np.where(known, self._at[slots], np.nan)

    def take_changed(self, most: int) -> list[Entry]:
        """Give some of what was noted and not given yet, as it is now."""
        changed = [self._changed.pop() for _ in range(min(most, len(self._changed)))]
        return [
            Entry(entity, float(self._at[slot]), self._values_of(slot))
            for entity in changed
            if (slot := self._slots.get(entity)) is not None
        ]

    def restore(self, entries: Sequence[Entry]) -> None:
        """Take over what another replica noted, where it is newer than what is here."""
        for entity, at, values in entries:
            if not values.keys() >= set(self.fields):
                continue  # a policy with other fields was in force
            slot = self._slot(entity)
            if not self._at[slot] >= at:
                self._values[slot] = [values[name] for name in self.fields]
                self._at[slot] = at

    def _note_one(self, entity: str, values: list[float], now: float) -> None:
        slot = self._slot(entity)
        self._values[slot] = values
        self._at[slot] = now
        self._changed.add(entity)

    def _values_of(self, slot: int) -> dict[str, float]:
        return dict(zip(self.fields, self._values[slot].tolist(), strict=True))

    def _rows(self, entities: Sequence[str]) -> npt.NDArray[np.intp]:
        """Give the table's rows of these entities; those that have none yet get one."""
        try:
            return np.fromiter(map(self._slots.__getitem__, entities), np.intp, len(entities))
        except KeyError:
            return np.array([self._slot(entity) for entity in entities], dtype=np.intp)

    def _slot(self, entity: str) -> int:
        slot = self._slots.get(entity)
        if slot is None:
            if not self._free:
                self._make_room()
            slot = self._slots[entity] = self._free.pop()
            self._at[slot] = np.nan
        return slot

    def _make_room(self) -> None:
        """Let those go that were answered longest ago."""
        # A row that is being taken at this moment has no time yet: it counts as the newest.
        age = np.where(np.isnan(self._at), np.inf, self._at)
        leaving = set(np.argsort(age)[: max(1, len(age) // _LEAVE_AT_ONCE)].tolist())
        self._slots = {entity: slot for entity, slot in self._slots.items() if slot not in leaving}
        self._free = sorted(leaving, reverse=True)
