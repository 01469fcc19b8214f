"""Writes a native histogram to a Prometheus, which no text format of this release can hold.

By the remote-write protocol 0.1.0: a WriteRequest in protocol buffers, as a Snappy block.
"""

import struct
import urllib.request
from collections.abc import Mapping

Field = tuple[int, int | float | bytes]


def write_counts(
    url: str, labels: Mapping[str, str], counts: Mapping[int, int], index: int
) -> None:
    """Write a histogram of durations that all lie in (2^(index - 1), 2^index] seconds.

    The counts are by the epoch second at which each was reached.
    """
    named = [
        _message((1, _message((1, k.encode()), (2, v.encode())))) for k, v in sorted(labels.items())
    ]
    histograms = (_message((4, _histogram(at, count, index))) for at, count in counts.items())
    body = _message((1, b"".join((*named, *histograms))))
    headers = {
        "content-encoding": "snappy",
        "content-type": "application/x-protobuf",
        "x-prometheus-remote-write-version": "0.1.0",
    }
    request = urllib.request.Request(f"{url}/api/v1/write", _snappy(body), headers)  # noqa: S310 - our own
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - same
        assert answer.status in (200, 204)


def _histogram(at: int, count: int, index: int) -> bytes:
    span = _message((1, _zigzag(index)), (2, 1))
    sum_seconds = count * 2.0**index
    return _message(
        (1, count), (3, sum_seconds), (4, _zigzag(0)), (5, 1e-9), (6, 0),
        (11, span), (12, _varint(_zigzag(count))), (15, at * 1000),
    )  # fmt: skip


def _message(*fields: Field) -> bytes:
    return b"".join(_field(number, value) for number, value in fields)


def _field(number: int, value: float | bytes) -> bytes:
    if isinstance(value, bytes):
        return _varint(number << 3 | 2) + _varint(len(value)) + value
    if isinstance(value, float):
        return _varint(number << 3 | 1) + struct.pack("<d", value)
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _snappy(body: bytes) -> bytes:
    """Write one literal, uncompressed, as the format allows."""
    return _varint(len(body)) + bytes((62 << 2,)) + (len(body) - 1).to_bytes(3, "little") + body
