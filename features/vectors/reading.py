"""Puts published vectors together into columns: values, their times, and whether they are stale."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from features.definitions.catalogue import Catalogue
from features.definitions.definition import Definition, Kind
from features.rows import MINUTE
from features.vectors.vector import Layout, matrix_of

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Stored = tuple[Layout, bytes]


@dataclass(frozen=True, slots=True)
class Features:
    """A row an entity, a column a feature; NaN where there is nothing."""

    names: tuple[str, ...]
    values: Floats
    event_time: Floats
    known_time: Floats
    stale: Bools
    outside: Bools
    """Where a number was found that is out of the feature's bounds, and so was not believed."""

    @classmethod
    def nothing(cls, names: Sequence[str], rows: int) -> Self:
        shape = (rows, len(names))
        values, event_time, known_time = (np.full(shape, np.nan) for _ in range(3))
        stale, outside = (np.zeros(shape, np.bool_) for _ in range(2))
        return cls(tuple(names), values, event_time, known_time, stale, outside)

    def select(self, names: Sequence[str]) -> Self:
        at = [self.names.index(name) for name in names]
        return type(self)(
            tuple(names),
            self.values[:, at],
            self.event_time[:, at],
            self.known_time[:, at],
            self.stale[:, at],
            self.outside[:, at],
        )


def read(
    catalogue: Catalogue, names: Sequence[str], found: Sequence[Stored | None], now: float
) -> Features:
    """Give these features of each entity whose vector was found."""
    order = catalogue.order(names)
    features = Features.nothing(order, len(found))
    cadence = np.full(len(found), MINUTE)
    layouts = {each[0].id: each[0] for each in found if each is not None}
    for layout in layouts.values():
        rows = [at for at, each in enumerate(found) if each is not None and each[0].id == layout.id]
        matrix = matrix_of(layout, [each[1] for at in rows if (each := found[at]) is not None])
        cadence[rows] = matrix[:, 0]
        _take(features, catalogue, layout, rows, matrix)
    complete(features, catalogue, now, cadence)
    return features.select(names)


def complete(
    features: Features, catalogue: Catalogue, now: float | Floats, cadence: Floats
) -> None:
    """Mark what is stored, and compute what follows from it; inputs stand before what needs them.

    `now` is one moment, or one for each row.
    """
    definitions = [catalogue.by_name[name] for name in features.names]
    _mark(features, definitions, now, np.maximum(cadence / MINUTE, 1.0))
    for at, definition in enumerate(definitions):
        if definition.kind is Kind.DERIVED:
            _derive(features, at, definition)


def _take(
    features: Features, catalogue: Catalogue, layout: Layout, rows: list[int], matrix: Floats
) -> None:
    """Take over what a layout holds of the features, each of the very version that is meant."""
    places = {
        name: at
        for at, (name, version) in enumerate(zip(layout.names, layout.versions, strict=True))
        if catalogue.versions.get(name) == version
    }
    to = [at for at, name in enumerate(features.names) if name in places]
    source = np.array([places[features.names[at]] for at in to], dtype=np.int64)
    group = np.array(layout.groups, dtype=np.int64)[source]
    cells = np.ix_(rows, to)
    features.values[cells] = matrix[:, 1 + 2 * layout.times + source]
    features.event_time[cells] = matrix[:, 1 + group]
    features.known_time[cells] = matrix[:, 1 + layout.times + group]


def _mark(
    features: Features, definitions: Sequence[Definition], now: float | Floats, slower: Floats
) -> None:
    """Mark what is too old, and leave out what cannot be."""
    ttl = np.array([each.ttl_seconds or np.inf for each in definitions])
    low = np.array([each.low for each in definitions])
    high = np.array([each.high for each in definitions])
    age = np.reshape(now, (-1, 1)) - features.event_time
    features.stale[:] = age > ttl * slower[:, None]
    features.outside[:] = (features.values < low) | (features.values > high)
    features.values[features.outside] = np.nan


def _derive(features: Features, at: int, definition: Definition) -> None:
    """Compute one column of those before it; it is as old as the oldest of them."""
    inputs = [features.names.index(name) for name in definition.source]
    columns = {name: features.values[:, features.names.index(name)] for name in definition.source}
    value = definition.expression.evaluate(columns)
    outside = (value < definition.low) | (value > definition.high)
    features.values[:, at] = np.where(outside, np.nan, value)
    features.outside[:, at] = outside
    features.event_time[:, at] = features.event_time[:, inputs].min(axis=1)
    features.known_time[:, at] = features.known_time[:, inputs].max(axis=1)
    features.stale[:, at] = features.stale[:, inputs].any(axis=1)
