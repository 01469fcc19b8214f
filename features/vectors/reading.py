"""Puts published vectors together into columns: values, their times, and whether they are stale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from features.definitions.catalogue import Catalogue
from features.definitions.definition import Definition, Function, Kind
from features.rows import MINUTE
from features.vectors.vector import Layout, matrix_of

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
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
    stale_from: Floats
    """Of each row: when the next of its values becomes stale, infinite where none will."""

    @classmethod
    def nothing(cls, names: Sequence[str], rows: int) -> Self:
        shape = (rows, len(names))
        values, event_time, known_time = (np.full(shape, np.nan) for _ in range(3))
        stale, outside = (np.zeros(shape, np.bool_) for _ in range(2))
        return cls(
            tuple(names), values, event_time, known_time, stale, outside, np.full(rows, np.inf)
        )

    def select(self, names: Sequence[str], at: Ints) -> Self:
        return type(self)(
            tuple(names),
            self.values[:, at],
            self.event_time[:, at],
            self.known_time[:, at],
            self.stale[:, at],
            self.outside[:, at],
            self.stale_from,
        )


@dataclass(frozen=True, slots=True)
class _Places:
    """Which numbers of a layout's vectors are which of the wanted columns."""

    to: Ints
    values: Ints
    event_time: Ints
    known_time: Ints


class CallsFunctions(Protocol):
    """Computes features by users' functions."""

    def evaluate(
        self, definition: Definition, function: Function, columns: Mapping[str, Floats]
    ) -> Floats: ...


class Reading:
    """Reads certain features off vectors; what their definitions decide is worked out once."""

    def __init__(
        self,
        catalogue: Catalogue,
        names: Sequence[str],
        functions: CallsFunctions | None = None,
    ) -> None:
        """Take which features; without `functions` their results are those that were published."""
        self.names = tuple(names)
        self._catalogue = catalogue
        self._functions = functions
        self.order = catalogue.order(names)
        definitions = [catalogue.by_name[name] for name in self.order]
        self._columns = {name: at for at, name in enumerate(self.order)}
        self._wanted = np.array([self._columns[name] for name in names], dtype=np.int64)
        self._ttl = np.array([each.ttl_seconds or np.inf for each in definitions])
        self._low = np.array([each.low for each in definitions])
        self._high = np.array([each.high for each in definitions])
        self._derived = [
            (at, each) for at, each in enumerate(definitions) if each.kind is Kind.DERIVED
        ]
        self._places: dict[bytes, _Places] = {}

    def read(self, found: Sequence[Stored | None], now: float) -> Features:
        """Give these features of each entity whose vector was found."""
        features = Features.nothing(self.order, len(found))
        cadence = np.full(len(found), MINUTE)
        layouts = {each[0].id: each[0] for each in found if each is not None}
        for layout in layouts.values():
            own = [
                (at, each[1]) for at, each in enumerate(found) if each and each[0].id == layout.id
            ]
            rows = np.array([at for at, _ in own], dtype=np.int64)
            matrix = matrix_of(layout, [vector for _, vector in own])
            cadence[rows] = matrix[:, 0]
            self._take(features, layout, rows, matrix)
        return self.complete(features, now, cadence)

    def complete(self, features: Features, now: float | Floats, cadence: Floats) -> Features:
        """Mark what is stored, compute what follows from it, and give what is wanted.

        The features are those of `order`; `now` is one moment, or one for each row.
        """
        self._mark(features, now, np.maximum(cadence / MINUTE, 1.0))
        for at, definition in self._derived:
            self._derive(features, at, definition)
        return features.select(self.names, self._wanted)

    def _take(self, features: Features, layout: Layout, rows: Ints, matrix: Floats) -> None:
        """Take over what a layout holds of the features, each of the very version that is meant."""
        places = self._places.get(layout.id)
        if places is None:
            places = self._places[layout.id] = self._places_in(layout)
        cells = np.ix_(rows, places.to)
        features.values[cells] = matrix[:, places.values]
        features.event_time[cells] = matrix[:, places.event_time]
        features.known_time[cells] = matrix[:, places.known_time]

    def _places_in(self, layout: Layout) -> _Places:
        versions = zip(layout.names, layout.versions, strict=True)
        source = {
            name: at
            for at, (name, version) in enumerate(versions)
            if self._catalogue.versions.get(name) == version
        }
        to = [at for at, name in enumerate(self.order) if name in source]
        values = np.array([source[self.order[at]] for at in to], dtype=np.int64)
        group = np.array(layout.groups, dtype=np.int64)[values]
        return _Places(
            np.array(to, dtype=np.int64),
            1 + 2 * layout.times + values,
            1 + group,
            1 + layout.times + group,
        )

    def _mark(self, features: Features, now: float | Floats, slower: Floats) -> None:
        """Mark what is too old, and leave out what cannot be."""
        ttl = self._ttl * slower[:, None]
        features.stale[:] = np.reshape(now, (-1, 1)) - features.event_time > ttl
        from_then = np.where(features.stale, np.inf, features.event_time + ttl)
        features.stale_from[:] = np.fmin.reduce(from_then, axis=1, initial=np.inf)
        features.outside[:] = (features.values < self._low) | (features.values > self._high)
        features.values[features.outside] = np.nan

    def _derive(self, features: Features, at: int, definition: Definition) -> None:
        """Compute one column of those before it; it is as old as the oldest of them."""
        inputs = [self._columns[name] for name in definition.source]
        event_time, known_time = features.event_time[:, inputs], features.known_time[:, inputs]
        if isinstance(definition.computed, Function):
            # It may do with less: what it is not given has no time.
            features.event_time[:, at] = np.fmin.reduce(event_time, axis=1)
            features.known_time[:, at] = np.fmax.reduce(known_time, axis=1)
        else:
            features.event_time[:, at] = event_time.min(axis=1)
            features.known_time[:, at] = known_time.max(axis=1)
        features.stale[:, at] = features.stale[:, inputs].any(axis=1)
        value = self._derived_values(features, at, definition)
        if value is not None:
            outside = (value < definition.low) | (value > definition.high)
            features.values[:, at] = np.where(outside, np.nan, value)
            features.outside[:, at] = outside

    def _derived_values(self, features: Features, at: int, definition: Definition) -> Floats | None:
        """Compute a column; None where it was published and read."""
        columns = {name: features.values[:, self._columns[name]] for name in definition.source}
        if not isinstance(definition.computed, Function):
            return definition.expression.evaluate(columns)
        if self._functions is None:
            return None
        found = self._functions.evaluate(definition, definition.computed, columns)
        # Of an entity of which nothing is known nothing is published.
        return np.where(np.isnan(features.event_time[:, at]), np.nan, found)
