"""Samples on their way from a gateway to the history: columns, and their form in a stream's entry.

An entry is a version byte, then compressed: the length of a JSON head, the head, which names the
series, and the columns as little-endian bytes. A value keeps each of its bits, for a stale
marker is one NaN among others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from features.sources.remote_write.errors import UnreadableSamplesError
from features.sources.remote_write.needed import Labels, Series

VERSION = 1
_HEAD = Struct("<II")  # the content's length, the head's length
# More than a gateway writes of one body (codec.py), so that no entry can fill the memory.
_MOST_BYTES = 64 * 1024 * 1024
_COLUMNS = (("rows", "<u4"), ("times", "<i8"), ("values", "<f8"))


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of some series; `rows` says which one each is of."""

    series: Sequence[Series]
    rows: NDArray[np.uint32]
    times: NDArray[np.int64]  # epoch milliseconds
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.times)


def encode(samples: Samples) -> bytes:
    """Write samples as one entry of a stream."""
    groups: dict[tuple[str, Labels], int] = {}
    of_series = [groups.setdefault(each[1:], len(groups)) for each in samples.series]
    head = orjson.dumps({"groups": list(groups), "samples": len(samples)})
    content = b"".join(
        (
            head,
            np.array([each.identity for each in samples.series], "<u8").tobytes(),
            np.array(of_series, "<u4").tobytes(),
            *(getattr(samples, name).astype(kind).tobytes() for name, kind in _COLUMNS),
        )
    )
    packed: bytes = pa.compress(content, codec="zstd", asbytes=True)
    return bytes((VERSION,)) + _HEAD.pack(len(content), len(head)) + packed


def decode(entry: bytes) -> Samples:
    """Read an entry; UnreadableSamplesError for anything that `encode` did not write."""
    if not entry or entry[0] != VERSION:
        raise UnreadableSamplesError(f"it begins with {entry[:1]!r}, not with version {VERSION}")
    try:
        return _decode(entry)
    except (ValueError, TypeError, KeyError, OSError, OverflowError, pa.ArrowException) as broken:
        raise UnreadableSamplesError(str(broken)) from broken


def _decode(entry: bytes) -> Samples:
    if len(entry) < 1 + _HEAD.size:
        raise ValueError("it has no head")
    length, head_length = _HEAD.unpack_from(entry, 1)
    if length > _MOST_BYTES:
        raise ValueError(f"it claims {length} bytes, and {_MOST_BYTES} are the limit")
    content = pa.decompress(entry[1 + _HEAD.size :], length, codec="zstd", asbytes=True)
    head = orjson.loads(content[:head_length])
    columns = _Columns(content, head_length)
    left, count = len(content) - head_length, int(head["samples"])
    series_count = (left - count * 20) // 12
    if count < 0 or series_count < 0 or series_count * 12 + count * 20 != left:
        raise ValueError(f"it holds {left} bytes of columns, which {count} samples do not fill")
    identities = columns.take("<u8", series_count).tolist()
    of_series = columns.take("<u4", series_count).tolist()
    groups = [(str(name), _labels(labels)) for name, labels in head["groups"]]
    if of_series and max(of_series) >= len(groups):
        raise ValueError(f"a series is of group {max(of_series)}, and there are {len(groups)}")
    rows, times, values = (columns.take(kind, count) for _, kind in _COLUMNS)
    if count and rows.max() >= series_count:
        raise ValueError(f"a sample is of series {rows.max()}, and there are {series_count}")
    series = [
        Series(identity, *groups[group])
        for identity, group in zip(identities, of_series, strict=True)
    ]
    return Samples(series, rows, times, values)


def _labels(given: Any) -> Labels:
    return tuple((str(label), str(value)) for label, value in given)


class _Columns:
    """Cuts columns off a content, one after the other."""

    def __init__(self, content: bytes, at: int) -> None:
        self._content = content
        self._at = at

    def take(self, kind: str, count: int) -> NDArray[Any]:
        found = np.frombuffer(self._content, kind, count, self._at)
        self._at += found.nbytes
        return found
