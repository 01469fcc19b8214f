"""Samples on their way from a gateway to the history: columns, and their form in a stream's entry.

The head of an entry names the series. A value keeps each of its bits, for a stale marker is one NaN
among others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.sources.entry_codec import Columns, decode_entry, encode_entry
from features.sources.remote_write.needed import Labels, Series

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
    return encode_entry(
        {"groups": list(groups), "samples": len(samples)},
        (
            np.array([each.identity for each in samples.series], "<u8").tobytes(),
            np.array(of_series, "<u4").tobytes(),
            *(getattr(samples, name).astype(kind).tobytes() for name, kind in _COLUMNS),
        ),
    )


def decode(entry: bytes) -> Samples:
    """Read an entry; UnreadableTelemetryError for anything that `encode` did not write."""
    return decode_entry(entry, _decode)


def _decode(head: Any, columns: Columns) -> Samples:
    left, count = columns.left, int(head["samples"])
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
