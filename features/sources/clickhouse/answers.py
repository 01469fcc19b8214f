"""Reads rows out of Arrow, strictly: a column of another type than it should be is complained of.

ClickHouse writes a DateTime as a whole number of seconds, and a DateTime64 as a timestamp.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.errors import SourceRefusedError
from features.sources.checks import RawRows
from features.sources.source import Complaint
from features.telemetry.columns import Bools, Floats, Ints

# More is a column that names requests or users, not services; each entity has its own features.
MOST_ENTITIES = 10_000
_MICROSECONDS = 1e6


class Doubled(NamedTuple):
    """Columns that count rows which should not be there: equal ones, and others of one moment."""

    equal: str
    other: str


class ColumnRoles(NamedTuple):
    """Which column of an answer is what, and what its values are multiplied with."""

    entity: str
    time: str
    metrics: Mapping[str, tuple[str, float]]
    deploy: str | None = None
    doubled: Doubled | None = None

    @property
    def columns(self) -> set[str]:
        deploy = () if self.deploy is None else (self.deploy,)
        return {self.entity, self.time, *deploy, *(each for each, _ in self.metrics.values())}


class Read(NamedTuple):
    """Rows as they came, and what was wrong with their columns."""

    rows: RawRows
    complaints: tuple[Complaint, ...]


def read(source: str, table: pa.Table, picked: ColumnRoles) -> Read:
    """Give the rows; SourceRefusedError where the entity or the time cannot be told."""
    complaints: list[Complaint] = []
    entity = _texts(source, _column(source, table, picked.entity), picked.entity)
    times = _times(source, _column(source, table, picked.time), picked.time)
    if len(set(entity)) > MOST_ENTITIES:
        raise SourceRefusedError(
            source,
            f"its column {picked.entity!r} names over {MOST_ENTITIES} entities. "
            "Choose a column that names services.",
        )
    metrics = {
        metric: _scaled(_numbers(table, column, complaints), by)
        for metric, (column, by) in picked.metrics.items()
    }
    deploy = None if picked.deploy is None else _flags(table, picked.deploy, complaints)
    rows = RawRows(entity, times.tolist(), metrics, deploy)
    several = _ambiguous(table, picked, entity, times)
    if picked.doubled is not None:
        several |= _counts(table, picked.doubled.other) > 0
        _complain_of_equal(_counts(table, picked.doubled.equal), rows, complaints)
    if several.any():
        at = int(np.argmax(several))
        example = (
            f"{str(entity[at])[:80]!r} at {times[at]:.0f} has several rows: aggregate them, or "
            "name the columns that tell its series apart"
        )
        complaints.append(Complaint("ambiguous labels", int(several.sum()), example))
        rows = rows_where(rows, (~several).tolist())
    return Read(rows, tuple(complaints))


def _counts(table: pa.Table, name: str) -> Ints:
    return np.asarray(table.column(name).to_numpy(), dtype=np.int64)


def _complain_of_equal(counts: Ints, rows: RawRows, complaints: list[Complaint]) -> None:
    if counts.any():
        at = int(np.argmax(counts))
        example = f"rows of {str(rows.entity[at])[:80]!r} at {rows.ts[at]:.0f} are there twice"
        complaints.append(Complaint("duplicate", int(counts.sum()), example))


def rows_where(rows: RawRows, marks: Sequence[bool]) -> RawRows:
    """Give the rows that are marked."""
    return RawRows(
        list(compress(rows.entity, marks)),
        list(compress(rows.ts, marks)),
        {name: list(compress(column, marks)) for name, column in rows.metrics.items()},
        None if rows.deploy is None else list(compress(rows.deploy, marks)),
    )


def _column(source: str, table: pa.Table, name: str) -> pa.ChunkedArray:
    if table.column_names.count(name) != 1:
        there = ", ".join(table.column_names)[:200]
        raise SourceRefusedError(
            source, f"its answer has no column {name!r}; it has {there}. Correct its columns."
        )
    return table.column(name)


def _texts(source: str, column: pa.ChunkedArray, name: str) -> list[Any]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _texts(source, column.cast(kind.value_type), name)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return list(column.to_pylist())
    if _is_bytes(kind):
        return [None if each is None else _decoded(each) for each in column.to_pylist()]
    raise SourceRefusedError(
        source, f"its column {name!r} holds {kind} and no text: give toString({name})."
    )


def _is_bytes(kind: pa.DataType) -> bool:
    # As older servers write texts, and all write a FixedString.
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
    )


def _decoded(text: bytes) -> str:
    return text.rstrip(b"\0").decode(errors="replace")


def _times(source: str, column: pa.ChunkedArray, name: str) -> Floats:
    kind = column.type
    if pa.types.is_timestamp(kind):
        # Finer ones are cut: an interval's beginning has none.
        moments = pc.cast(column, pa.timestamp("us", kind.tz), safe=False)
        return _floats(pc.cast(moments, pa.int64())) / _MICROSECONDS
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _floats(column)
    raise SourceRefusedError(
        source,
        f"its column {name!r} holds {kind} and no moment: give a DateTime, or seconds since 1970.",
    )


def _numbers(table: pa.Table, name: str, complaints: list[Complaint]) -> Sequence[Any]:
    """Give a column's numbers; None for each where it holds something else, or is not there."""
    if table.column_names.count(name) != 1:
        there = ", ".join(table.column_names)[:200]
        return _wrong(table, f"there is no column {name!r}, there are {there}", complaints)
    column = table.column(name)
    kind = column.type
    if pa.types.is_null(kind):
        return [None] * len(table)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        values = pc.cast(column, pa.float64(), safe=False)
        return list(values.to_pylist())
    return _wrong(table, f"the column {name!r} holds {kind} and no number", complaints)


def _wrong(table: pa.Table, reason: str, complaints: list[Complaint]) -> Sequence[None]:
    if len(table):
        complaints.append(Complaint("schema", len(table), reason))
    return [None] * len(table)


def _scaled(values: Sequence[Any], by: float) -> Sequence[float | None]:
    if by == 1.0:
        return values
    return [None if each is None else each * by for each in values]


def _flags(table: pa.Table, name: str, complaints: list[Complaint]) -> list[bool]:
    numbers = (
        table.column(name).to_pylist()
        if name in table.column_names and pa.types.is_boolean(table.column(name).type)
        else _numbers(table, name, complaints)
    )
    return [bool(each) for each in numbers]


def _ambiguous(table: pa.Table, picked: ColumnRoles, entity: Sequence[Any], times: Floats) -> Bools:
    """Mark rows of one entity and time that other columns of text tell apart."""
    labels = [name for name in table.column_names if name not in picked.columns]
    labels = [name for name in labels if _is_label(table.schema.field(name).type)]
    if not labels:
        return np.zeros(len(times), np.bool_)
    seen: dict[tuple[Any, float], set[tuple[Any, ...]]] = {}
    told = zip(*(table.column(name).to_pylist() for name in labels), strict=True)
    keys = list(zip(entity, times.tolist(), strict=True))
    for key, label in zip(keys, told, strict=True):
        seen.setdefault(key, set()).add(label)
    return np.array([len(seen[key]) > 1 for key in keys], np.bool_)


def _is_label(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)
    ) or _is_bytes(kind)


def _floats(column: pa.ChunkedArray) -> Floats:
    numbers: Iterable[float] = pc.cast(column, pa.float64(), safe=False).to_numpy()
    return np.asarray(numbers, dtype=np.float64)
