"""Writes a native histogram to a Prometheus, which no text format of this release can hold.

By the remote-write protocol 0.1.0: a WriteRequest in protocol buffers, as a Snappy block.
"""

import struct
import urllib.request
from collections.abc import Mapping


def write_counts(
    url: str, labels: Mapping[str, str], counts: Mapping[int, int], index: int
) -> None:
    """Write a histogram of durations that all lie in (2^(index - 1), 2^index] seconds.

    The counts are by the epoch second at which each was reached.
    """
    named = (
        _bytes(1, _bytes(1, name.encode()) + _bytes(2, value.encode()))
        for name, value in sorted(labels.items())
    )
    histograms = (_bytes(4, _histogram(at, count, index)) for at, count in counts.items())
    body = _bytes(1, b"".join((*named, *histograms)))
    headers = {
        "content-encoding": "snappy",
        "content-type": "application/x-protobuf",
        "x-prometheus-remote-write-version": "0.1.0",
    }
    request = urllib.request.Request(f"{url}/api/v1/write", _snappy(body), headers)  # noqa: S310 - our own
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - same
        assert answer.status in (200, 204)


def _histogram(at: int, count: int, index: int) -> bytes:
    span = _number(1, _zigzag(index)) + _number(2, 1)
    parts = (
        _number(1, count), _double(3, count * 2.0**index), _number(4, _zigzag(0)),
        _double(5, 1e-9), _number(6, 0), _bytes(11, span), _bytes(12, _varint(_zigzag(count))),
        _number(15, at * 1000),
    )  # fmt: skip
    return b"".join(parts)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


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
