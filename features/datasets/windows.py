"""Numbers of trailing windows, sorted, many windows at a time; and what is computed of them.

The engine computes the same for the live path (features/telemetry/rolling.py): sums are taken in
ascending order there and here, so both give the same bits.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from features.datasets.rows import EntityRows, Floats, Ints
from features.definitions.definition import Baseline, Window

# Numbers at a time: what a processor's cache holds of a few arrays.
BATCH = 131_072

Computed = Window | Baseline
Bools = npt.NDArray[np.bool_]


class Moments(NamedTuple):
    """At which second each window ends, and which rows count: those known by then."""

    at: Ints
    known_ms: Ints

    def rows(self, which: Bools | Ints) -> "Moments":
        return Moments(self.at[which], self.known_ms[which])


class Sorted(NamedTuple):
    """Numbers of several windows, a row each in ascending order; behind its count each has NaN."""

    values: Floats
    counts: Ints
    newest: Floats
    """The number of the newest interval that has one."""


def bounds(rows: EntityRows, moments: Moments, seconds: int) -> tuple[Ints, Ints]:
    """Give the first row of each window, and the row after its last."""
    return (
        np.searchsorted(rows.ts, moments.at - seconds),
        np.searchsorted(rows.ts, moments.at),
    )


def is_known(rows: EntityRows, moments: Moments, seconds: int) -> Bools:
    """Tell of which windows anything was known, be it that nothing was measured."""
    found = np.zeros(len(moments.at), dtype=np.bool_)
    starts, stops = bounds(rows, moments, seconds)
    for at in np.flatnonzero(starts < stops):
        known = rows.known_ms[starts[at] : stops[at]]
        until = moments.known_ms[at]
        found[at] = known[0] <= until or known[-1] <= until or bool((known <= until).any())
    return found


def values_of(
    rows: EntityRows, computed: Sequence[Computed], seconds: int, moments: Moments
) -> Floats:
    """Compute features over windows of one length: a row a moment, a column a feature."""
    found = np.full((len(moments.at), len(computed)), np.nan)
    by_column: dict[str, list[int]] = {}
    for at, each in enumerate(computed):
        by_column.setdefault(_column(each), []).append(at)
    for batch in _batches(rows, seconds, moments):
        for column, places in by_column.items():
            statistics = _Statistics(_sorted(rows, column, batch))
            # What is too large for a number is infinite, to the engine too.
            with np.errstate(over="ignore", invalid="ignore"):
                for at in places:
                    found[batch.which, at] = statistics.of(computed[at])
    return found


def _column(computed: Computed) -> str:
    return computed.column if isinstance(computed, Window) else computed.columns[0]


class _Batch(NamedTuple):
    """Some of the windows: where their rows are, and which of these were known by then."""

    which: slice
    places: Ints
    known: Bools
    known_ms: Ints


def _batches(rows: EntityRows, seconds: int, moments: Moments) -> Iterator[_Batch]:
    starts, stops = bounds(rows, moments, seconds)
    longest = max(int((stops - starts).max(initial=0)), 1)
    if not len(rows.ts):
        return
    size = max(BATCH // longest, 1)
    for first in range(0, len(starts), size):
        which = slice(first, first + size)
        places = starts[which, None] + np.arange(longest)
        inside = places < stops[which, None]
        np.minimum(places, len(rows.ts) - 1, out=places)
        known_ms = moments.known_ms[which, None]
        yield _Batch(which, places, inside & (rows.known_ms[places] <= known_ms), known_ms)


def _sorted(rows: EntityRows, column: str, batch: _Batch) -> Sorted:
    counts = batch.known
    if (until := rows.until_ms[column]) is not None:
        counts = counts & (until[batch.places] > batch.known_ms)
    numbers = np.where(counts, rows.columns[column][batch.places], np.nan)
    measured = ~np.isnan(numbers)
    newest = measured.shape[1] - 1 - measured[:, ::-1].argmax(axis=1)
    last: Floats = numbers[np.arange(len(numbers)), newest]
    numbers.sort(axis=1)
    return Sorted(numbers, measured.sum(axis=1), last)


class _Statistics:
    """Computes each statistic once, however many features are made of it."""

    def __init__(self, numbers: Sorted) -> None:
        self._numbers = numbers
        self._row = np.arange(len(numbers.counts))
        self._empty = numbers.counts == 0
        self._known: dict[str, Floats] = {}

    def of(self, computed: Computed) -> Floats:
        if isinstance(computed, Baseline):
            of = self._arrived if computed.measure == "baseline_rate" else self._median
            return self._once(computed.measure, of)
        if computed.statistic == "quantile":
            return self._between(computed.quantile or 0.0)
        return self._simple(computed.statistic)

    def _simple(self, statistic: str) -> Floats:
        match statistic:
            case "mean":
                return self._mean()
            case "sd":
                return self._once("sd", self._sd)
            case "min":
                return self._numbers.values[:, 0]
            case "max":
                return self._at(self._numbers.counts - 1)
            case "last":
                return self._numbers.newest
            case other:
                raise ValueError(f"there is no statistic {other!r}")

    def _once(self, name: str, compute: Callable[[], Floats]) -> Floats:
        if name not in self._known:
            self._known[name] = np.where(self._empty, np.nan, compute())
        return self._known[name]

    def _at(self, places: Ints) -> Floats:
        last = self._numbers.values.shape[1] - 1
        found: Floats = self._numbers.values[self._row, np.clip(places, 0, last)]
        return found

    def _sums(self, values: Floats) -> Floats:
        """Add up one by one: numpy's own sum would pair the numbers."""
        return np.cumsum(np.where(np.isnan(values), 0.0, values), axis=1)

    def _mean(self) -> Floats:
        return self._once("mean", lambda: self._mean_of(self._numbers.values))

    def _sd(self) -> Floats:
        away = self._numbers.values - self._mean()[:, None]
        away *= away
        return np.sqrt(self._mean_of(away))

    def _mean_of(self, values: Floats) -> Floats:
        found: Floats = self._sums(values)[:, -1] / np.maximum(self._numbers.counts, 1)
        return found

    def _median(self) -> Floats:
        return self._between(0.5)

    def _between(self, quantile: float) -> Floats:
        place: Floats = np.float64(quantile) * (self._numbers.counts - 1).astype(np.float64)
        below = np.floor(place).astype(np.int64)
        low = self._at(below)
        high = self._at(np.minimum(below + 1, self._numbers.counts - 1))
        found: Floats = low + (place - below) * (high - low)
        return found

    def _arrived(self) -> Floats:
        """Give the rate at which the median request arrived."""
        arrived = self._sums(self._numbers.values)
        return self._at((arrived >= arrived[:, -1:] / 2).argmax(axis=1))
