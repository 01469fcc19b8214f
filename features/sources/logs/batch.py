"""Posted lines on their way from a gateway to the history: what each tells, nothing of its text.

The head of an entry names the entities. Logs hold secrets: no text of a line but its entity's name
is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.sources.entry_codec import Columns, decode_entry, encode_entry
from features.sources.logs.patterns import LineRead
from features.sources.source import Complaint

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
    head = {
        "identity": batch.identity,
        "entities": list(entities),
        "lines": len(lines),
        "complaints": [(each.fault, each.count, each.example) for each in batch.complaints],
    }
    arrays = (np.array(each, kind) for each, kind in zip(columns, _COLUMNS, strict=True))
    return encode_entry(head, (each.tobytes() for each in arrays))


def decode(entry: bytes) -> Batch:
    """Read an entry; UnreadableTelemetryError for anything that `encode` did not write."""
    return decode_entry(entry, _decode)


def _decode(head: Any, columns: Columns) -> Batch:
    count = int(head["lines"])
    if count < 0 or columns.left != count * _LINE_BYTES:
        raise ValueError(f"{columns.left} bytes of columns are not {count} lines")
    complaints = tuple(Complaint(*each) for each in head["complaints"])
    return Batch(str(head["identity"]), _lines(columns, count, head["entities"]), complaints)


def _lines(columns: Columns, count: int, entities: Sequence[Any]) -> list[LineRead]:
    taken = [columns.take(kind, count).tolist() for kind in _COLUMNS]
    return [
        LineRead(
            str(entities[entity]),
            time,
            None if latency != latency else latency,  # noqa: PLR0124 - NaN alone differs from itself
            *(bool(flags >> bit & 1) for bit in range(len(_FLAGS))),
        )
        for entity, time, latency, flags in zip(*taken, strict=True)
    ]


def _flags(line: LineRead) -> int:
    return sum(getattr(line, name) << bit for bit, name in enumerate(_FLAGS))
