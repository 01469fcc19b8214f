"""What a platform says about itself: one row for one entity and one minute."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Labels = NDArray[np.int8]
Texts = NDArray[np.str_]
Bools = NDArray[np.bool_]

EXEMPLARS = 8
"""Sampled requests a minute whose latency is kept, like exemplars in Prometheus."""


class Column(NamedTuple):
    name: str
    kind: str  # numpy's letter: f float64, i int64, b int8, U text
    unit: str
    meaning: str


COLUMNS = (
    Column("ts", "i", "s", "start of the minute, epoch seconds UTC"),
    Column("entity", "U", "", "the service, desk or tenant measured"),
    Column("request_rate", "f", "1/s", "requests that arrived"),
    Column("error_rate", "f", "0-1", "share of requests that failed"),
    Column(
        "load", "f", "1", "arrival rate x mean service time / workers; over 1 more than they can do"
    ),
    Column("infra", "f", "0-1", "pressure on what lies below: cpu steal, memory, disk, network"),
    Column("cpu", "f", "0-1", "processor use of the workers"),
    Column("memory", "f", "0-1", "memory use of the workers"),
    Column("queue_depth", "f", "1", "requests waiting for a worker, mean over the minute"),
    Column("active_workers", "f", "1", "workers that took requests"),
    Column("p50_ms", "f", "ms", "median latency of the minute's requests"),
    Column("p95_ms", "f", "ms", "95th percentile of the same"),
    Column("p99_ms", "f", "ms", "99th percentile of the same"),
    Column("p999_ms", "f", "ms", "99.9th percentile of the same"),
    Column("exemplars", "f", "ms", "latencies of eight requests drawn at random, one row a minute"),
    Column("session", "U", "", "phase of trading on the entity's exchange"),
    Column("regime", "b", "", "truth: state of the market behind the demand"),
    Column("deploy", "b", "0/1", "a deploy began in this minute"),
    Column("incident", "U", "", "truth: kind of the incident under way, empty when none"),
)
_KINDS = {column.name: column.kind for column in COLUMNS}
_DTYPES: dict[str, np.dtype[Any]] = {
    "f": np.dtype(np.float64),
    "i": np.dtype(np.int64),
    "b": np.dtype(np.int8),
}


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Telemetry of one or more entities as columns of equal length; see COLUMNS for meanings."""

    ts: Ints
    entity: Texts
    request_rate: Floats
    error_rate: Floats
    load: Floats
    infra: Floats
    cpu: Floats
    memory: Floats
    queue_depth: Floats
    active_workers: Floats
    p50_ms: Floats
    p95_ms: Floats
    p99_ms: Floats
    p999_ms: Floats
    exemplars: Floats
    session: Texts
    regime: Labels
    deploy: Labels
    incident: Texts

    def __post_init__(self) -> None:
        for name, values in self.columns().items():
            expected = (len(self.ts), EXEMPLARS) if name == "exemplars" else (len(self.ts),)
            if values.shape != expected:
                raise ValueError(f"column {name} has shape {values.shape}, expected {expected}")
            if not _has_kind(values, _KINDS[name]):
                raise ValueError(f"column {name} has dtype {values.dtype}, expected {_KINDS[name]}")

    def __len__(self) -> int:
        return len(self.ts)

    def columns(self) -> dict[str, NDArray[Any]]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def rows(self, which: slice | Ints | Bools) -> Self:
        return type(self)(**{name: values[which] for name, values in self.columns().items()})

    def between(self, start: int, stop: int) -> Self:
        """Rows whose minute begins in [start, stop), epoch seconds."""
        return self.rows((self.ts >= start) & (self.ts < stop))

    @classmethod
    def concat(cls, parts: Iterable["Telemetry"]) -> Self:
        """All rows of the parts in their order, in arrays of their own."""
        columns = [part.columns() for part in parts]
        if not columns:
            return cls.empty()
        return cls(**{name: np.concatenate([part[name] for part in columns]) for name in _KINDS})

    @classmethod
    def empty(cls) -> Self:
        """Hold no rows at all."""
        columns: dict[str, Any] = {name: _no_values(name) for name in _KINDS}
        return cls(**columns)


def _no_values(name: str) -> NDArray[Any]:
    shape = (0, EXEMPLARS) if name == "exemplars" else (0,)
    dtype: np.dtype[Any] = _DTYPES.get(_KINDS[name], np.dtype("U1"))
    return np.zeros(shape, dtype=dtype)


def _has_kind(values: NDArray[Any], kind: str) -> bool:
    return values.dtype == _DTYPES[kind] if kind in _DTYPES else values.dtype.kind == kind


def load_of(load: Floats, cpu: Floats, active_workers: Floats) -> Floats:
    """Give the load; where it was not measured, the share of processor that its workers use.

    A busy worker's load is about its share of processor. Without a count of workers nobody knows
    of which workers the share is, so the load stays unknown then.
    """
    stands_in = np.isnan(load) & np.isfinite(cpu) & (np.nan_to_num(active_workers) > 0)
    derived: Floats = np.where(stands_in, cpu, load)
    return derived
