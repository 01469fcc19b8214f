"""Protocol Buffers' wire format, as far as remote write needs it: varints, doubles, messages.

Source: https://protobuf.dev/programming-guides/encoding. A reader by hand, because all but a few
series of a write are dropped by their name, and are then skipped in one step.
"""

from collections.abc import Iterator
from typing import NamedTuple

from features.errors import UnreadableWriteError

VARINT, FIXED64, MESSAGE, FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10


class Part(NamedTuple):
    """One field of a message: a varint's value, or where in the bytes the content lies."""

    number: int
    kind: int
    value: int
    start: int
    stop: int


def varint(raw: bytes, at: int, end: int) -> tuple[int, int]:
    """Give the number at this place, and the place after it."""
    value = shift = 0
    for place in range(at, min(end, at + _LONGEST_VARINT)):
        byte = raw[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the bit that says that another byte follows
            return value & 0xFFFF_FFFF_FFFF_FFFF, place + 1
        shift += 7
    raise UnreadableWriteError(f"the varint at byte {at} has no end")


def signed(value: int) -> int:
    """Read a varint as int64."""
    return value - (1 << 64) if value >> 63 else value


def parts(raw: bytes, at: int, end: int) -> Iterator[Part]:
    """Give the fields of the message that lies in [at, end)."""
    while at < end:
        tag, start = varint(raw, at, end)
        number, kind, value = tag >> 3, tag & 7, 0
        if kind == MESSAGE:
            size, start = varint(raw, start, end)
            at = start + size
        elif kind == VARINT:
            value, at = varint(raw, start, end)
        elif kind in (FIXED64, FIXED32):
            at = start + (8 if kind == FIXED64 else 4)
        else:
            raise UnreadableWriteError(f"field {number} at byte {at} has the wire type {kind}")
        if at > end:
            raise UnreadableWriteError(f"field {number} goes {at - end} bytes past its message")
        yield Part(number, kind, value, start, at)
