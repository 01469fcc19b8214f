"""Features of one entity at many moments, as the live path computed them at each.

The live path asks the engine anew at every moment (features/vectors/computed.py). Here the rows of
the past are read once. Both follow the same rules; tests and certificates compare them to the bit.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from features.calendars.of_entity import calendar_values
from features.datasets.past import Past
from features.datasets.rows import EntityRows, Floats, Ints
from features.datasets.windows import Bools, Moments
from features.definitions.definition import (
    DAY,
    MINUTE,
    Baseline,
    Calendar,
    Definition,
    Live,
    Window,
)
from features.telemetry.columns import load_of
from features.vectors.as_of import SETTLE_SECONDS
from features.vectors.computed import Facts
from features.vectors.vector import group_of


@dataclass(frozen=True, slots=True)
class Part:
    """Features that are computed together: a row a moment; NaN where nothing was known."""

    names: tuple[str, ...]
    values: Floats
    event_time: Floats
    known_time: Floats


class Plan:
    """Stored features by the group in which they are computed, and the columns that they need."""

    def __init__(self, definitions: Sequence[Definition]) -> None:
        self.groups: dict[Hashable, list[Definition]] = {}
        for each in definitions:
            self.groups.setdefault(group_of(each), []).append(each)
        self.columns = tuple(sorted({name for each in definitions for name in each.source}))
        self.longest_seconds = max(
            [
                DAY,
                *(
                    each.computed.seconds
                    for each in definitions
                    if isinstance(each.computed, Window | Baseline)
                ),
            ]
        )
        """How far back of a moment something may be read, steps left out."""

    def parts(self, past: Past, facts: Facts, moment_ms: Ints) -> list[Part]:
        """Compute every group at each moment; nothing where the last day has no measurement."""
        parts = [self._part(group, past, facts, moment_ms) for group in self.groups.values()]
        measured = np.zeros(len(moment_ms), dtype=np.bool_)
        for which, rows in past.by_stretch(moment_ms):
            measured[which] = _newest(rows, moment_ms[which]) >= 0
        for each in parts:
            for column in (each.values, each.event_time, each.known_time):
                column[~measured] = np.nan
        return parts

    def _part(self, group: Sequence[Definition], past: Past, facts: Facts, moment_ms: Ints) -> Part:
        names = tuple(each.name for each in group)
        match group[0].computed:
            case Live():
                return _lives(group, past, moment_ms)
            case Calendar():
                minute = moment_ms // 1000 // MINUTE * MINUTE
                time = minute.astype(np.float64)
                return Part(names, _calendar(names, facts, minute), time, time.copy())
            case _:
                return _windows(group, past, moment_ms)


def _lives(group: Sequence[Definition], past: Past, moment_ms: Ints) -> Part:
    count = len(moment_ms)
    values = np.full((count, len(group)), np.nan)
    event_time, known_time = np.full(count, np.nan), np.full(count, np.nan)
    for which, rows in past.by_stretch(moment_ms):
        moment, newest = moment_ms[which], _newest(rows, moment_ms[which])
        values[which] = np.column_stack([_live(rows, each, moment, newest) for each in group])
        if len(rows.ts):
            chosen = np.maximum(newest, 0)
            event_time[which] = rows.ts[chosen]
            known_time[which] = rows.known_ms[chosen] / 1000
    return Part(tuple(each.name for each in group), values, event_time, known_time)


def _newest(rows: EntityRows, moment_ms: Ints) -> Ints:
    """Find the last row known of the newest interval of the last day; -1 where there is none."""
    now = moment_ms // 1000
    starts = np.searchsorted(rows.ts, now - DAY)
    stops = np.searchsorted(rows.ts, now, side="right")
    found = np.full(len(moment_ms), -1)
    for at, (start, stop) in enumerate(zip(starts.tolist(), stops.tolist(), strict=True)):
        if start < stop:
            known = np.flatnonzero(rows.known_ms[start:stop] <= moment_ms[at])
            found[at] = start + known[-1] if len(known) else -1
    return found


def _live(rows: EntityRows, definition: Definition, moment_ms: Ints, newest: Ints) -> Floats:
    columns = [_of_interval(rows, name, moment_ms, newest) for name in definition.source]
    return load_of(*columns) if len(columns) > 1 else columns[0]


def _of_interval(rows: EntityRows, column: str, moment_ms: Ints, newest: Ints) -> Floats:
    """Give an interval's latest known number: that of its last known row which has one."""
    found = np.full(len(moment_ms), np.nan)
    left, row = newest >= 0, newest.copy()
    while left.any():
        found[left] = rows.columns[column][row[left]]
        row[left] -= 1
        interval = rows.ts[np.maximum(newest, 0)] if len(rows.ts) else row
        left &= np.isnan(found) & (row >= 0)
        left[left] = rows.ts[row[left]] == interval[left]
    return found


def _calendar(names: Sequence[str], facts: Facts, minute: Ints) -> Floats:
    exchange, zone = facts.exchange, facts.time_zone
    minutes, places = np.unique(minute, return_inverse=True)
    known = [calendar_values(exchange, zone, at) for at in minutes.tolist()]
    table = np.array([[each[name] for name in names] for each in known], dtype=np.float64)
    found: Floats = table.reshape(len(minutes), len(names))[places]
    return found


def _windows(group: Sequence[Definition], past: Past, moment_ms: Ints) -> Part:
    computed = [each.computed for each in group if isinstance(each.computed, Window | Baseline)]
    seconds, step = computed[0].seconds, computed[0].step_seconds
    when, known = _as_of(past, seconds, step, moment_ms)
    values = np.full((len(moment_ms), len(computed)), np.nan)
    # Many moments may be of one step.
    pairs, places = np.unique(
        np.column_stack([when.at, when.known_ms])[known], axis=0, return_inverse=True
    )
    once = past.values_of(computed, seconds, Moments(pairs[:, 0], pairs[:, 1]))
    values[known] = once[places]
    time = np.where(known, when.at, np.nan)
    return Part(tuple(each.name for each in group), values, time, time.copy())


def _as_of(past: Past, seconds: int, step: int, moment_ms: Ints) -> tuple[Moments, Bools]:
    """Give the step that each moment's value is of, as `StepMemory` chooses it."""
    now = moment_ms // 1000
    found = Moments(now.copy(), moment_ms.copy())
    left = np.ones(len(now), dtype=np.bool_)
    for each in dict.fromkeys((step, MINUTE)):
        at = (now - SETTLE_SECONDS) // each * each
        settled = Moments(at, at * 1000)
        known = left.copy()
        known[left] = past.is_known(settled.rows(left), seconds)
        found.at[known], found.known_ms[known] = settled.at[known], settled.known_ms[known]
        left &= ~known
    known = ~left
    known[left] = past.is_known(found.rows(left), seconds)
    return found, known
