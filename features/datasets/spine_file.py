"""Rows of a training set as people keep them: a CSV, JSON or Parquet file with entity and time."""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from features.errors import BadSpineError


class SpineRows(NamedTuple):
    """An entity and a moment in epoch seconds for each row."""

    entity: list[str]
    time: list[float]


def read_spine(path: Path) -> SpineRows:
    """Read the columns `entity` and `time` of a file; raises BadSpineError."""
    try:
        table = _table(path)
    except (OSError, pa.ArrowInvalid, orjson.JSONDecodeError, TypeError) as error:
        raise BadSpineError(str(path), f"it cannot be read: {error}") from error
    missing = {"entity", "time"} - set(table.column_names)
    if missing:
        found = ", ".join(table.column_names)
        raise BadSpineError(
            str(path), f"it has no column {min(missing)!r}; its columns are: {found}"
        )
    times = table["time"].to_pylist()
    return SpineRows(
        [str(each) for each in table["entity"].to_pylist()],
        [_seconds(each, row) for row, each in enumerate(times)],
    )


def _table(path: Path) -> pa.Table:
    match path.suffix.lower():
        case ".parquet":
            return pyarrow.parquet.read_table(path, columns=["entity", "time"])
        case ".json":
            return pa.Table.from_pylist(orjson.loads(path.read_bytes()))
        case ".csv":
            return pyarrow.csv.read_csv(path)
        case other:
            raise BadSpineError(str(path), f"{other!r} is none of .csv, .json and .parquet")


def _seconds(value: Any, row: int) -> float:
    """Read epoch seconds, or a moment with or without its offset; without one it is in UTC."""
    with suppress(TypeError, ValueError):  # text too, where a column has numbers and dates
        return float(value)
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, AttributeError) as error:
        raise BadSpineError("time", f"row {row} has {value!r}, which is no time") from error
