"""Checks what any source or client gave, and keeps what is right of it.

A row belongs to the interval that its time falls into, so times need not lie on the cadence's
grid. Rows of one entity and interval are one row: they may bring different metrics, and of two
values of one metric the first is kept.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np

from features.sources.bounds import BOUNDS
from features.sources.plain import Plain, flags, names, numbers
from features.sources.source import Faults, Gathered
from features.telemetry.columns import EXEMPLARS, Bools, Floats, Ints, Telemetry


class RawRows(NamedTuple):
    """Rows as they came, in columns of equal length; None stands for what was not measured."""

    entity: Sequence[str]
    ts: Sequence[float]
    metrics: Mapping[str, Sequence[float | None]]
    deploy: Sequence[bool] | None = None


class _Kept(NamedTuple):
    """The rows whose entity and time are right, and the interval of each."""

    rows: Ints
    entity: Sequence[str]
    interval: Ints

    def example(self, metric: str, row: int, value: object) -> str:
        return f"{metric} of {self.entity[row][:80]!r} at {_utc(self.interval[row])} is {value}"


class _Groups(NamedTuple):
    """One group for each entity and interval, by entity and time."""

    entity: Any
    ts: Ints
    of_row: Ints


def checked(
    rows: RawRows, *, now: float, cadence_seconds: int, report_gaps: bool = False
) -> Gathered:
    """Give the rows that are right, one for each entity and interval, and what was wrong.

    With `report_gaps`, the intervals that an entity lacks between its first and its last count
    as wrong too.
    """
    faults = Faults()
    if _is_ragged(rows):
        faults.add("schema", len(rows.ts), "the columns are not of one length")
        return Gathered(Telemetry.empty(), faults.complaints())
    kept = _kept(rows, now, cadence_seconds, faults)
    groups = _grouped(kept, cadence_seconds)
    metrics = _metrics(rows.metrics, kept, groups, faults)
    telemetry = _telemetry(groups, metrics, _deploys(rows, kept, groups, faults))
    if report_gaps:
        _complain_of_gaps(telemetry, cadence_seconds, faults)
    return Gathered(telemetry, faults.complaints())


def _is_ragged(rows: RawRows) -> bool:
    columns = [rows.entity, *rows.metrics.values()]
    columns += [] if rows.deploy is None else [rows.deploy]
    return any(len(column) != len(rows.ts) for column in columns)


def _kept(rows: RawRows, now: float, cadence: int, faults: Faults) -> _Kept:
    named, ts = names(rows.entity), numbers(rows.ts)
    faults.add_where("schema", ~named, lambda row: _wrong("entity", rows.entity[row]))
    faults.add_where("schema", ~ts.right | ts.missing, lambda row: _wrong("ts", rows.ts[row]))
    timed = ts.right & ~ts.missing
    faults.add_where("not a number", timed & ~ts.finite, lambda row: f"ts is {rows.ts[row]}")
    timed &= ts.finite
    # A clock may be ahead by one interval: that one's row is taken.
    skewed = timed & ((ts.values > now + cadence) | (ts.values < 0))
    faults.add_where("clock skew", skewed, lambda row: _skew(ts.values[row], now))
    which = np.flatnonzero(named & timed & ~skewed)
    interval = np.floor(ts.values[which] / cadence).astype(np.int64) * cadence
    return _Kept(which, [rows.entity[row] for row in which.tolist()], interval)


def _grouped(kept: _Kept, cadence: int) -> _Groups:
    distinct = sorted(set(kept.entity))
    code = {name: position for position, name in enumerate(distinct)}
    codes = np.fromiter((code[name] for name in kept.entity), np.int64, len(kept.entity))
    steps = kept.interval // cadence
    width = int(steps.max(initial=0)) + 1
    keys, of_row = np.unique(codes * width + steps, return_inverse=True)
    entities = np.array(distinct or [""], dtype=np.str_)
    return _Groups(entities[keys // width], keys % width * cadence, of_row)


def _metrics(
    given: Mapping[str, Sequence[float | None]], kept: _Kept, groups: _Groups, faults: Faults
) -> dict[str, Floats]:
    merged = {name: np.full(len(groups.ts), np.nan) for name in BOUNDS}
    for name, column in given.items():
        if name in BOUNDS:
            values = _measured(name, numbers(column).rows(kept.rows), column, kept, faults)
            merged[name] = _first(name, values, kept, groups, faults)
        else:
            stated = sum(value is not None for value in column)
            known = f"known are {', '.join(BOUNDS)}"
            faults.add("unknown metric", stated, f"{str(name)[:80]!r}: {known}")
    return merged


def _measured(
    name: str, found: Plain, column: Sequence[Any], kept: _Kept, faults: Faults
) -> Floats:
    """Give the values of a metric that can be true; NaN in the place of any other."""

    def example(row: int) -> str:
        return kept.example(name, row, _shortened(column[kept.rows[row]]))

    bounds = BOUNDS[name]
    faults.add_where("schema", ~found.right, lambda row: f"{example(row)}: no number")
    given = found.right & ~found.missing
    faults.add_where("not a number", given & ~found.finite, example)
    beyond = found.finite & ~bounds.within(found.values)
    faults.add_where(
        "out of bounds", beyond, lambda row: f"{example(row)}, not in 0..{bounds.highest:g}"
    )
    return np.where(found.finite & ~beyond, bounds.clipped(found.values), np.nan)


def _first(name: str, values: Floats, kept: _Kept, groups: _Groups, faults: Faults) -> Floats:
    """Give each group the first of its rows' values."""
    merged = np.full(len(groups.ts), np.nan)
    there = np.flatnonzero(~np.isnan(values))[::-1]
    merged[groups.of_row[there]] = values[there]  # of several, the last that is assigned stays
    first = merged[groups.of_row]
    other = ~np.isnan(values) & (values != first)
    faults.add_where(
        "duplicate", other, lambda row: f"{kept.example(name, row, values[row])} and {first[row]}"
    )
    return merged


def _deploys(rows: RawRows, kept: _Kept, groups: _Groups, faults: Faults) -> Bools:
    merged = np.zeros(len(groups.ts), dtype=np.bool_)
    if rows.deploy is not None:
        column = rows.deploy
        right, values = flags(column)
        faults.add_where("schema", ~right, lambda row: _wrong("deploy", column[row]))
        merged[groups.of_row[values[kept.rows]]] = True
    return merged


def _telemetry(groups: _Groups, metrics: dict[str, Floats], deploys: Bools) -> Telemetry:
    """Hold the groups of which anything is known; a deploy alone is something."""
    measured = ~np.isnan(np.array(list(metrics.values()))).all(axis=0)
    count = len(groups.ts)
    none = np.full(count, "", dtype=np.str_)
    return Telemetry(
        ts=groups.ts,
        entity=groups.entity,
        **metrics,
        exemplars=np.full((count, EXEMPLARS), np.nan),
        session=none,
        regime=np.zeros(count, dtype=np.int8),
        deploy=deploys.astype(np.int8),
        incident=none,
    ).rows(measured | deploys)


def _complain_of_gaps(telemetry: Telemetry, cadence: int, faults: Faults) -> None:
    lacking = np.diff(telemetry.ts) // cadence - 1
    lacking[telemetry.entity[1:] != telemetry.entity[:-1]] = 0
    for row in np.flatnonzero(lacking > 0):
        since, until = telemetry.ts[row] + cadence, telemetry.ts[row + 1]
        name = str(telemetry.entity[row])[:80]
        faults.add("gap", int(lacking[row]), f"{name!r} from {_utc(since)} to {_utc(until)}")


def _wrong(column: str, value: object) -> str:
    return f"{column} is {_shortened(value)}"


def _shortened(value: object) -> str:
    return repr(value)[:80]


def _skew(ts: float, now: float) -> str:
    hint = " (milliseconds? seconds are expected)" if ts > now * 100 else ""
    return f"ts is {ts:.0f}{hint} while it is {now:.0f} here"


def _utc(ts: int | np.int64) -> str:
    return datetime.fromtimestamp(int(ts), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
