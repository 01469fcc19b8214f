"""Lists in an answer are judged item by item, by the same limits as the answer's own numbers.

A capacity plan's first hour is its row's columns; the hours after it are a list in the detail. Each
becomes a row of its own for safety, and what safety made of it is put back into the list.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from deployments.api.endpoint import Nested
from deployments.runtime.batch import Batch, Columns, Detail, Judgement


@dataclass(frozen=True, slots=True)
class Items:
    """The items of a batch, row by row: whose they are, and which in their list."""

    nested: Nested
    owners: list[int]
    places: list[int]

    @classmethod
    def of(cls, nested: Nested, details: Sequence[Detail | None]) -> "Items":
        owners: list[int] = []
        places: list[int] = []
        first = next(iter(nested.lists.values()))
        for row, detail in enumerate(details):
            if detail is not None:
                count = len(detail["data"][first])
                owners += [row] * (count - 1)
                places += range(1, count)
        return cls(nested, owners, places)

    def unfold(self, batch: Batch, details: Sequence[Detail | None]) -> Batch:
        """Give the batch with a row more for each item."""
        which = np.asarray(self.owners, dtype=np.intp)
        columns: Columns = {name: column[which] for name, column in batch.columns.items()}
        for name, listed in self.nested.lists.items():
            values = [value for detail in details if detail for value in detail["data"][listed][1:]]
            columns[name] = np.asarray(values, dtype=np.float64)
        entities = batch.entities + [batch.entities[row] for row in self.owners]
        together = {
            name: np.concatenate([column, columns[name]]) for name, column in batch.columns.items()
        }
        return replace(batch, entities=entities, columns=together, items=len(self.owners))

    def fold(self, judged: Judgement, details: Sequence[Detail | None], rows: int) -> Judgement:
        """Put back what safety made of the items, and give the judgement of the rows alone.

        What an item shares with its row, such as an input, is the row's to report; and the items
        of a row that fell back are not in the answer.
        """
        whole = Judgement(
            {name: column[:rows] for name, column in judged.columns.items()},
            judged.levels[:rows].copy(),
            judged.rungs[:rows],
            {row: list(found) for row, found in judged.violations.items() if row < rows},
            judged.policy,
            judged.version,
            judged.overrides,
            judged.unchecked,
            judged.emergency,
        )
        fallback = judged.fallback
        for at, found in judged.violations.items():
            own = [each for each in found if each["field"] in self.nested.lists]
            if at < rows or not own or fallback[self.owners[at - rows]]:
                continue
            owner, place = self.owners[at - rows], self.places[at - rows]
            whole.levels[owner] = max(whole.levels[owner], judged.levels[at])
            numbered = [each | {self.nested.item: place + 1} for each in own]
            whole.violations.setdefault(owner, []).extend(numbered)
            self._put_back(judged, at, details[owner], place)
        return whole

    def _put_back(self, judged: Judgement, at: int, detail: Detail | None, place: int) -> None:
        if detail is None:
            return
        for name, listed in self.nested.lists.items():
            values: list[Any] = detail["data"][listed]
            values[place] = type(values[place])(judged.columns[name][at])
        if judged.fallback[at]:  # an item of the answer is not the model's
            detail["meta"] = detail.get("meta", {}) | {"degraded": True}
