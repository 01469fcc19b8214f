"""Lists in an answer are judged item by item, by the same limits as the answer's own numbers.

A capacity plan's first hour is its row's columns; the hours after it are a list in the detail. Each
becomes a row of its own for safety, and what safety made of it is put back into the list.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from deployments.api.endpoint import Nested
from deployments.runtime.batch import Batch, Columns, Detail, Judgement, Refusal

Violation = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ListItems:
    """The items of a batch, row by row: whose they are, and which in their list."""

    nested: Nested
    owners: list[int]
    places: list[int]

    @classmethod
    def of(cls, nested: Nested, details: Sequence[Detail | None]) -> "ListItems":
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

    def moments(self, details: Sequence[Detail | None]) -> list[float]:
        """Say in epoch seconds when each item begins."""
        of_row = [[] if each is None else self.nested.moments(each["data"]) for each in details]
        return [of_row[owner][place] for owner, place in zip(self.owners, self.places, strict=True)]

    def fold(self, judged: Judgement, details: Sequence[Detail | None], rows: int) -> Judgement:
        """Put back what safety made of the items, and give the judgement of the rows alone.

        What an item shares with its row, such as an input, is the row's to report; and the items
        of a row that fell back are not in the answer.
        """
        whole = replace(
            judged,
            columns={name: column[:rows] for name, column in judged.columns.items()},
            levels=judged.levels[:rows].copy(),
            rungs=judged.rungs[:rows],
            violations={row: list(found) for row, found in judged.violations.items() if row < rows},
            refusals={row: why for row, why in judged.refusals.items() if row < rows},
            alarms={row: rule for row, rule in judged.alarms.items() if row < rows},
        )
        fallback = judged.fallback
        for at, found in judged.violations.items():
            if at < rows or fallback[self.owners[at - rows]]:
                continue
            owner, place = self.owners[at - rows], self.places[at - rows]
            own = self._own(found, judged.violations.get(owner, ()))
            if not own:
                continue
            whole.levels[owner] = max(whole.levels[owner], judged.levels[at])
            numbered = [each | {self.nested.item: place + 1} for each in own]
            whole.violations.setdefault(owner, []).extend(numbered)
            if why := judged.refusals.get(at):
                whole.refusals.setdefault(owner, self._refusal(why, place))
            if rule := judged.alarms.get(at):
                whole.alarms.setdefault(owner, rule)
            self._put_back(judged, at, details[owner], place)
        return whole

    def _own(self, found: Sequence[Violation], of_row: Sequence[Violation]) -> list[Violation]:
        """Give what an item broke itself: its values, or what holds at its time and not now."""
        common = {each["rule"] for each in of_row}
        return [
            each
            for each in found
            if each["field"] in self.nested.lists
            or (each["field"] is None and each["rule"] not in common)
        ]

    def _refusal(self, why: Refusal, place: int) -> Refusal:
        message = f"{why['message']} ({self.nested.item} {place + 1})"
        return {"code": why["code"], "message": message}

    def _put_back(self, judged: Judgement, at: int, detail: Detail | None, place: int) -> None:
        if detail is None:
            return
        for name, listed in self.nested.lists.items():
            values: list[Any] = detail["data"][listed]
            values[place] = type(values[place])(judged.columns[name][at])
        if judged.fallback[at]:  # an item of the answer is not the model's
            detail["meta"] = detail.get("meta", {}) | {"degraded": True}
