"""Brings series of one grid of times together as rows."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from features.errors import SourceRefusedError
from features.sources.checks import RawRows
from features.sources.prometheus.answers import Series
from features.sources.source import Complaint
from features.telemetry.columns import Bools, Floats, Ints

# More is a label that names requests or users, not services; each entity has its own features.
MOST_ENTITIES = 10_000
# In steps: times are given in milliseconds.
_SAME_TIME = 1e-3


class Grid(NamedTuple):
    """Times of evaluation: the ends of intervals."""

    first: int
    step: int
    steps: int

    @property
    def last(self) -> int:
        return self.first + (self.steps - 1) * self.step


class Points(NamedTuple):
    """Values of one metric, by where they belong: the entity's number times the steps, plus one."""

    keys: Ints
    values: Floats


class Table:
    """One chunk of a source's answers."""

    def __init__(self, source: str, label: str, grid: Grid) -> None:
        self._source = source
        self._label = label
        self._grid = grid
        self._numbers: dict[str, int] = {}
        self.complaints: list[Complaint] = []

    def rows(self, metrics: Mapping[str, Sequence[Series]], deploys: Sequence[Series]) -> RawRows:
        """Give a row for each entity and interval of which anything is known."""
        points = {name: self._distinct(name, series) for name, series in metrics.items()}
        began = self._points(deploys)
        keys = np.unique(np.concatenate([began.keys, *(each.keys for each in points.values())]))
        entities, steps = np.divmod(keys, self._grid.steps)
        names = list(self._numbers)
        return RawRows(
            entity=[names[number] for number in entities.tolist()],
            # What is evaluated at an interval's end describes the interval.
            ts=(self._grid.first + (steps - 1) * self._grid.step).tolist(),
            metrics={name: _column(keys, each) for name, each in points.items()},
            deploy=np.isin(keys, began.keys).tolist(),
        )

    def _distinct(self, metric: str, series: Sequence[Series]) -> Points:
        points = self._points([each for each in series if self._is_named(metric, each)])
        _, positions, counts = np.unique(points.keys, return_inverse=True, return_counts=True)
        several: Bools = counts[positions] > 1
        if several.any():
            number, step = divmod(int(points.keys[several][0]), self._grid.steps)
            at = self._grid.first + step * self._grid.step
            example = f"{metric} of {list(self._numbers)[number]!r} at {at}: aggregate by its label"
            self.complaints.append(Complaint("ambiguous labels", int(several.sum()), example))
        return Points(points.keys[~several], points.values[~several])

    def _is_named(self, metric: str, series: Series) -> bool:
        if series.labels.get(self._label):
            return True
        example = f"{metric}: {series.labels} has no {self._label!r}. Aggregate by it."
        self.complaints.append(Complaint("schema", len(series.at), example))
        return False

    def _points(self, series: Sequence[Series]) -> Points:
        keys = [np.zeros(0, np.int64), *(self._number(each) + self._steps(each) for each in series)]
        values = [np.zeros(0), *(each.values for each in series)]
        return Points(np.concatenate(keys), np.concatenate(values))

    def _number(self, series: Series) -> int:
        entity = series.labels.get(self._label, "")
        number = self._numbers.setdefault(entity, len(self._numbers))
        if number >= MOST_ENTITIES:
            raise SourceRefusedError(
                self._source,
                f"its label {self._label!r} names over {MOST_ENTITIES} entities. "
                "Choose a label that names services.",
            )
        return number * self._grid.steps

    def _steps(self, series: Series) -> Ints:
        steps = (series.at - self._grid.first) / self._grid.step
        whole = np.rint(np.clip(steps, 0, self._grid.steps - 1))
        if (np.abs(steps - whole) > _SAME_TIME).any():
            raise SourceRefusedError(
                self._source, "it gave values of times that it was not asked for."
            )
        return whole.astype(np.int64)


def _column(keys: Ints, points: Points) -> list[float | None]:
    column = np.full(len(keys), None, dtype=object)
    column[np.searchsorted(keys, points.keys)] = points.values
    return column.tolist()
