"""Values by series and by entity, where there are any: no value is one thing, and NaN another."""

from typing import NamedTuple

import numpy as np

from features.sources.remote_write.editions import Edition
from features.sources.remote_write.log import Columns, stale
from features.telemetry.columns import Bools, Floats, Ints

# How far a Prometheus goes back for the latest sample of a series.
LOOKBACK_MS = 300_000


class Vector(NamedTuple):
    """One value for each entity, and whether there is one."""

    there: Bools
    values: Floats

    def times(self, factor: float) -> "Vector":
        return Vector(self.there, self.values * factor)

    def over(self, lower: "Vector", wanted: Bools) -> "Vector":
        """Divide by a vector, where both have a value and it is wanted."""
        there = self.there & lower.there & wanted
        values = np.divide(self.values, lower.values, out=np.zeros(len(there)), where=there)
        return Vector(there, values)


class OfSeries(NamedTuple):
    """One value for each series, and whether there is one."""

    there: Bools
    values: Floats

    @classmethod
    def of(cls, count: int, rows: Ints, values: Floats) -> "OfSeries":
        """Give the values of these rows their places among all series."""
        found = cls(np.zeros(count, np.bool_), np.zeros(count))
        found.there[rows] = True
        found.values[rows] = values
        return found

    def at(self, rows: Ints) -> "OfSeries":
        return OfSeries(self.there[rows], self.values[rows])

    def together(self, entities: Ints, count: int, operator: str) -> Vector:
        """Take the series of each entity together, as PromQL's aggregations do."""
        entities, found = entities[self.there], self.values[self.there]
        series = np.bincount(entities, minlength=count)
        there = series > 0
        match operator:
            case "min" | "max":
                # NaN is only the answer where there is nothing else.
                values = np.full(count, np.nan)
                (np.fmin if operator == "min" else np.fmax).at(values, entities, found)
            case "count":
                values = series.astype(np.float64)
            case _:
                values = np.bincount(entities, found, count)
                values = values / np.fmax(series, 1) if operator == "avg" else values
        return Vector(there, values)


class Latest:
    """The last sample of each series up to a time, milliseconds."""

    def __init__(self, samples: Columns, count: int, end: int, edition: Edition) -> None:
        rows, times, values = samples.at(samples.times <= end)
        last = np.flatnonzero(np.diff(rows, append=-1))
        self._samples = OfSeries.of(count, rows[last].astype(np.int64), values[last])
        self._ages = np.zeros(count, np.int64)
        self._ages[rows[last]] = end - times[last]
        self._edition = edition

    def at(self, rows: Ints, fresher_than: int = LOOKBACK_MS + 1) -> OfSeries:
        """Give those that are fresh enough, milliseconds, and do not mark an end."""
        found, ages = self._samples.at(rows), self._ages[rows]
        young = (ages <= LOOKBACK_MS) if self._edition.left_closed else (ages < LOOKBACK_MS)
        young &= ages < fresher_than
        return OfSeries(found.there & young & ~stale(found.values), found.values)


def within(samples: Columns, start: int, end: int, edition: Edition) -> Columns:
    """Give the samples of a window, milliseconds, that are values."""
    times = samples.times
    inside = (times >= start) if edition.left_closed else (times > start)
    return samples.at(inside & (times <= end) & ~stale(samples.values))
