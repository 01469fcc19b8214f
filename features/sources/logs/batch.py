"""Posted lines on their way from a gateway to the history: what each tells, nothing of its text.

An entry of a stream is a version byte, then compressed: the length of a JSON head, the head, which
names the entities, and the columns as little-endian bytes. Logs hold secrets: no text of a line but
its entity's name is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from features.errors import UnreadableTelemetryError
from features.sources.logs.patterns import LineRead
from features.sources.source import Complaint

VERSION = 1
# The content's length first: by that a stream counts what waits (features/sources/entries.py).
_HEAD = Struct("<II")
# More than a gateway makes of one body, so that no entry can fill the memory.
_MOST_BYTES = 64 * 1024 * 1024
_FLAGS = ("request", "failed", "deploy", "restart")
_COLUMNS = ("<u4", "<f8", "<f8", "<u1")
_LINE_BYTES = sum(np.dtype(kind).itemsize for kind in _COLUMNS)


@dataclass(frozen=True, slots=True)
class Batch:
    """The lines of one body; one that is sent again has the same identity."""

    identity: str
    lines: Sequence[LineRead]
    complaints: tuple[Complaint, ...] = ()


def encode(batch: Batch) -> bytes:
    """Write a batch as one entry of a stream."""
    entities: dict[str, int] = {}
    lines = batch.lines
    columns = (
        [entities.setdefault(each.entity, len(entities)) for each in lines],
        [each.time for each in lines],
        [np.nan if each.latency_ms is None else each.latency_ms for each in lines],
        [_flags(each) for each in lines],
    )
    head = orjson.dumps(
        {
            "identity": batch.identity,
            "entities": list(entities),
            "lines": len(lines),
            "complaints": [(each.fault, each.count, each.example) for each in batch.complaints],
        }
    )
    arrays = (np.array(each, kind) for each, kind in zip(columns, _COLUMNS, strict=True))
    content = b"".join((head, *(each.tobytes() for each in arrays)))
    packed: bytes = pa.compress(content, codec="zstd", asbytes=True)
    return bytes((VERSION,)) + _HEAD.pack(len(content), len(head)) + packed


def decode(entry: bytes) -> Batch:
    """Read an entry; UnreadableTelemetryError for anything that `encode` did not write."""
    if not entry or entry[0] != VERSION:
        raise UnreadableTelemetryError(f"it begins with {entry[:1]!r}, not with version {VERSION}")
    try:
        return _decode(entry)
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        OSError,
        OverflowError,
        pa.ArrowException,
    ) as broken:
        raise UnreadableTelemetryError(str(broken)) from broken


def _decode(entry: bytes) -> Batch:
    if len(entry) < 1 + _HEAD.size:
        raise ValueError("it has no head")
    length, head_length = _HEAD.unpack_from(entry, 1)
    if length > _MOST_BYTES:
        raise ValueError(f"it claims {length} bytes, and {_MOST_BYTES} are the limit")
    content = pa.decompress(entry[1 + _HEAD.size :], length, codec="zstd", asbytes=True)
    head = orjson.loads(content[:head_length])
    count = int(head["lines"])
    if count < 0 or len(content) - head_length != count * _LINE_BYTES:
        raise ValueError(f"{len(content) - head_length} bytes of columns are not {count} lines")
    complaints = tuple(Complaint(*each) for each in head["complaints"])
    lines = _lines(content, head_length, count, head["entities"])
    return Batch(str(head["identity"]), lines, complaints)


def _lines(content: bytes, at: int, count: int, entities: Sequence[Any]) -> list[LineRead]:
    columns = []
    for kind in _COLUMNS:
        columns.append(np.frombuffer(content, kind, count, at).tolist())
        at += count * np.dtype(kind).itemsize
    return [
        LineRead(
            str(entities[entity]),
            time,
            None if latency != latency else latency,  # noqa: PLR0124 - NaN alone differs from itself
            *(bool(flags >> bit & 1) for bit in range(len(_FLAGS))),
        )
        for entity, time, latency, flags in zip(*columns, strict=True)
    ]


def _flags(line: LineRead) -> int:
    return sum(getattr(line, name) << bit for bit, name in enumerate(_FLAGS))
