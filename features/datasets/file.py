"""Writes a training set as Parquet, block by block: it is never in memory as a whole."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.datasets.build import DatasetPart
from features.datasets.spine import Spine
from features.errors import DatasetCancelledError

ABOUT = ("row", "entity", "time", "moment", "served")
"""What stands before the features: the place in the spine, its entity and moment, as of when the
row was computed, and whether it is noted that the live path served it."""
_TIME = pa.timestamp("ms", "UTC")


@dataclass(slots=True)
class Counts:
    """What was written."""

    rows: int = 0
    served: int = 0
    """Rows of which it is noted what the live path served."""
    unknown: int = 0
    """Rows of which nothing was known at their moment."""
    missing: dict[str, int] = field(default_factory=dict)
    """By feature: the rows in which it has no value."""


def write(
    path: Path,
    spine: Spine,
    names: tuple[str, ...],
    parts: Iterable[DatasetPart],
    progress: Callable[[int, int], None],
    is_cancelled: Callable[[], bool],
) -> Counts:
    """Write the parts as they are made; raises DatasetCancelledError where somebody wishes so."""
    counts = Counts(missing=dict.fromkeys(names, 0))
    schema = pa.schema(
        [
            ("row", pa.int64()),
            ("entity", pa.string()),
            ("time", _TIME),
            ("moment", _TIME),
            ("served", pa.bool_()),
            *((name, pa.float64()) for name in names),
        ]
    )
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=["entity"]) as writer:
        for made in parts:
            if is_cancelled():
                raise DatasetCancelledError
            writer.write_table(_table(spine, made, schema))
            _count(counts, made)
            progress(counts.rows, len(spine))
    return counts


def sampled(path: Path, rows: int, seed: int, columns: Sequence[str] | None = None) -> pa.Table:
    """Draw rows of a file, all at once as long as they are few; they are in its order."""
    with pq.ParquetFile(path) as file:
        total = file.metadata.num_rows
        chosen = np.sort(np.random.default_rng(seed).choice(total, min(rows, total), replace=False))
        taken, first = (
            [file.schema_arrow.empty_table().select(columns or file.schema_arrow.names)],
            0,
        )
        for group in range(file.num_row_groups):
            size = file.metadata.row_group(group).num_rows
            mine = chosen[(chosen >= first) & (chosen < first + size)] - first
            if len(mine):
                taken.append(file.read_row_group(group, columns).take(mine))
            first += size
    return pa.concat_tables(taken)


def _table(spine: Spine, made: DatasetPart, schema: pa.Schema) -> pa.Table:
    columns = [
        pa.array(made.places),
        pa.array(spine.entity[made.places]),
        pa.array(spine.at_ms[made.places], _TIME),
        pa.array(made.moment_ms, _TIME),
        pa.array(made.served.found),
    ]
    values = np.ascontiguousarray(made.features.values.T)
    columns += [pa.array(each, from_pandas=True) for each in values]  # NaN becomes null
    return pa.Table.from_arrays(columns, schema=schema)


def _count(counts: Counts, made: DatasetPart) -> None:
    missing = np.isnan(made.features.values)
    counts.rows += len(made.places)
    counts.served += int(made.served.found.sum())
    counts.unknown += int(np.isnan(made.features.known_time).all(axis=1).sum())
    for name, each in zip(made.features.names, missing.sum(axis=0).tolist(), strict=True):
        counts.missing[name] += each
