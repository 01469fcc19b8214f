"""The table of measurements: what each source said of an interval, and when that was known.

Nothing is overwritten: a correction is a row of its own, so that what was known at any moment can
be read again. Readers put an interval's rows together (features/telemetry/merged.py).
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.telemetry.columns import COLUMNS, Telemetry

METRICS = tuple(each.name for each in COLUMNS if each.kind == "f" and each.name != "exemplars")
_KEY = ("ts", "entity")
_TEXT_BEGINNING = 16
_MIXED_BY = np.uint64(6_364_136_223_846_793_005)
_HALF = np.uint64(32)

# An insert that is repeated after a crash gives equal rows, which collapse. `content` keeps two
# different rows apart that one source gave within a millisecond. A partition is a source: to forget
# one drops its files, and an insert, which is one source's, never has too many partitions.
MEASUREMENTS = f"""
CREATE TABLE IF NOT EXISTS measurements (
    ts DateTime('UTC'),
    entity LowCardinality(String),
    source LowCardinality(String),
    known DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    {"".join(f"{name} Float64, " for name in METRICS)}
    exemplars Array(Float32),
    session LowCardinality(String),
    regime Int16,
    deploy UInt8,
    incident LowCardinality(String),
    content UInt64
) ENGINE = ReplacingMergeTree
PARTITION BY source
PRIMARY KEY (entity, ts)
ORDER BY (entity, ts, known, source, content)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
"""

# What each source measures by since when (features/telemetry/mappings.py).
MAPPINGS = """
CREATE TABLE IF NOT EXISTS measurement_mappings (
    source String,
    known DateTime64(3, 'UTC'),
    mapping String,
    ended String
) ENGINE = ReplacingMergeTree
ORDER BY (source, known)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
"""
_ENGINE = """
SELECT engine_full FROM system.tables
WHERE database = currentDatabase() AND name = {table:String}
"""
# By table, of what its rows are so old. A publication lasts as long as the rows it was made of:
# without them it proves nothing.
_AGED_BY = {"measurements": "ts", "publications": "toDateTime(since)"}
# What was written for models to read, since when, and a digest of it: training sets look up here
# which vector was served at a moment, and prove that they have it right.
PUBLICATIONS = """
CREATE TABLE IF NOT EXISTS publications (
    entity LowCardinality(String),
    since DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    moment DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    cadence Float64,
    layout LowCardinality(String),
    digest UInt64
) ENGINE = MergeTree
ORDER BY (entity, since)
"""


class ColumnStore(Protocol):
    """The little of ClickHouse that this room asks for."""

    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]: ...

    def columns(
        self, sql: str, params: Mapping[str, Any] | None = None
    ) -> Mapping[str, npt.NDArray[Any]]: ...

    def insert(self, table: str, columns: Mapping[str, Any]) -> None: ...

    def execute(self, sql: str) -> None: ...


def create_measurements(store: ColumnStore) -> None:
    """Make the tables where they are missing."""
    store.execute(MEASUREMENTS)
    store.execute(MAPPINGS)
    store.execute(PUBLICATIONS)


def keep_for(store: ColumnStore, days: int) -> None:
    """Have the engine drop, when it merges, what was stored longer ago; 0 keeps all of it."""
    for table, time in _AGED_BY.items():
        (found,) = store.query(_ENGINE, {"table": table})
        expiry = f"TTL {time} + toIntervalDay({days})"
        if days and expiry not in found["engine_full"]:
            store.execute(f"ALTER TABLE {table} MODIFY {expiry}")
        elif not days and "TTL " in found["engine_full"]:
            store.execute(f"ALTER TABLE {table} REMOVE TTL")


def drop_made_up(store: ColumnStore) -> None:
    """Drop the table of earlier releases, which held the simulator's telemetry and no other.

    Only for an engine that is this platform's own: on a user's server a table of so plain a name
    may be somebody else's.
    """
    store.execute("DROP TABLE IF EXISTS telemetry SYNC")


def milliseconds(moment: float) -> int:
    """Write epoch seconds as whole milliseconds, rounded up: nothing is known before its time."""
    return math.ceil(Fraction(moment) * 1000)


def append(store: ColumnStore, telemetry: Telemetry, *, source: str, known_ms: int) -> None:
    """Store what a source gave, and that it was known at `known_ms`.

    To repeat an insert that may have failed half way, repeat it with the same `known_ms`.
    """
    if not len(telemetry):
        return
    columns: dict[str, Any] = dict(telemetry.columns())
    columns |= {name: _finite_or_nan(columns[name]) for name in METRICS}
    columns["content"] = _content(columns)
    columns["exemplars"] = _measured_exemplars(telemetry.exemplars)
    columns["source"] = np.full(len(telemetry), source)
    columns["known"] = np.full(len(telemetry), known_ms).astype("datetime64[ms]")
    store.insert("measurements", columns)


def _finite_or_nan(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(np.isfinite(values), values, np.nan)


def _content(columns: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.uint64]:
    """Hash what a row says; the engine's own hashes took as long as the rest of an insert."""
    found = np.zeros(len(columns["ts"]), dtype=np.uint64)
    for name, values in columns.items():
        if name not in _KEY:
            for words in _words(values).T:
                found = (found ^ words) * _MIXED_BY
                found ^= found >> _HALF
    return found


def _words(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Give the bits of each row's value, (rows, words); of a text its beginning."""
    bits = np.ascontiguousarray(values)
    if values.dtype.kind == "U":
        bits = bits.astype(f"U{_TEXT_BEGINNING}").view(np.uint32)
    elif values.dtype.kind == "f":
        bits = bits.view(np.uint64)
    return bits.reshape(len(values), -1).astype(np.uint64)


def _measured_exemplars(exemplars: npt.NDArray[np.float64]) -> Any:
    """Leave an interval's list empty where none of its requests was sampled."""
    kept = exemplars.astype(np.float32)
    measured = ~np.isnan(kept).all(axis=1)
    if measured.all():
        return kept
    ends = np.cumsum(measured * kept.shape[1])
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(kept[measured].ravel()))
