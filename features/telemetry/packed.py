"""Telemetry and its complaints as compact bytes, for what waits in Redis to be stored.

    format (1 byte) || zlib of: length of the head (4) || head as JSON || the columns' bytes

Columns that say nothing are left out, and text is written once and then by its number. A reader of
another release refuses what it does not know; it never guesses.
"""

import struct
import zlib
from dataclasses import astuple
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from features.errors import UnreadableTelemetryError
from features.sources.source import Complaint, Gathered
from features.telemetry.columns import COLUMNS, EXEMPLARS, Telemetry

FORMAT = 1
# Twice as fast as the usual level, and measurements hardly get smaller by more.
_LEVEL = 1
# More than any entry has: a damaged one must not fill the memory.
_MOST_BYTES = 256 * 1024 * 1024
_LENGTH = struct.Struct("<I")
_KINDS = {column.name: column.kind for column in COLUMNS}
_TYPES: dict[str, np.dtype[Any]] = {
    "f": np.dtype("<f8"),
    "i": np.dtype("<i8"),
    "b": np.dtype("i1"),
    "U": np.dtype("<i4"),
}

Column = NDArray[Any]


def pack(gathered: Gathered) -> bytes:
    columns: dict[str, Column] = gathered.telemetry.columns()
    said = {name: values for name, values in columns.items() if _says(_KINDS[name], values)}
    words: dict[str, list[str]] = {}
    parts: list[bytes] = []
    for name, values in said.items():
        numbers: Column = values
        if _KINDS[name] == "U":
            unique, numbers = np.unique(values, return_inverse=True)
            words[name] = unique.tolist()
        parts.append(numbers.astype(_TYPES[_KINDS[name]], copy=False).tobytes())
    head = orjson.dumps(
        {
            "rows": len(gathered.telemetry),
            "columns": list(said),
            "words": words,
            "complaints": [astuple(each) for each in gathered.complaints],
        }
    )
    body = b"".join((_LENGTH.pack(len(head)), head, *parts))
    return bytes((FORMAT,)) + zlib.compress(body, _LEVEL)


def unpack(data: bytes) -> Gathered:
    """Read what `pack` wrote; UnreadableTelemetryError where it is anything else."""
    if data[:1] != bytes((FORMAT,)):
        raise UnreadableTelemetryError(
            f"the packed telemetry has format {data[0] if data else 'none'}, but this release "
            f"reads {FORMAT}"
        )
    try:
        return _unpacked(_inflated(data[1:]))
    except (KeyError, TypeError, ValueError, IndexError, struct.error, zlib.error) as error:
        raise UnreadableTelemetryError(f"the packed telemetry is damaged: {error!r}") from error


def _says(kind: str, values: Column) -> bool:
    """Tell whether a column holds anything but the value for nothing."""
    if kind == "f":
        return not bool(np.isnan(values).all())
    return bool((values != ("" if kind == "U" else 0)).any())


def _inflated(data: bytes) -> bytes:
    inflating = zlib.decompressobj()
    body = inflating.decompress(data, _MOST_BYTES)
    if not inflating.eof or inflating.unused_data:
        raise ValueError("it was cut short or extended")
    return body


def _unpacked(body: bytes) -> Gathered:
    (length,) = _LENGTH.unpack_from(body)
    at = _LENGTH.size + length
    head = orjson.loads(body[_LENGTH.size : at])
    rows: int = head["rows"]
    columns = {name: _nothing(name, rows) for name in _KINDS}
    for name in head["columns"]:
        kind, shape = _KINDS[name], _shape(name, rows)
        size = int(np.prod(shape)) * _TYPES[kind].itemsize
        if at + size > len(body):
            raise ValueError(f"column {name} was cut short")
        values = np.frombuffer(body, _TYPES[kind], int(np.prod(shape)), at).reshape(shape).copy()
        columns[name] = np.array(head["words"][name])[values] if kind == "U" else values
        at += size
    if at != len(body):
        raise ValueError(f"{len(body) - at} bytes follow the last column")
    complaints = tuple(Complaint(*each) for each in head["complaints"])
    return Gathered(Telemetry(**columns), complaints)


def _shape(name: str, rows: int) -> tuple[int, ...]:
    return (rows, EXEMPLARS) if name == "exemplars" else (rows,)


def _nothing(name: str, rows: int) -> Column:
    match _KINDS[name]:
        case "f":
            return np.full(_shape(name, rows), np.nan)
        case "U":
            return np.full(rows, "", dtype="U1")
        case kind:
            return np.zeros(rows, _TYPES[kind])
