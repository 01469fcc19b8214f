"""The form of an entry of a stream: a head of names, and columns of numbers.

A version byte, then compressed: the length of a JSON head, the head, and the columns as
little-endian bytes. A value keeps each of its bits.
"""

from collections.abc import Callable, Iterable, Mapping
from struct import Struct
from typing import Any, TypeVar

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from features.errors import UnreadableTelemetryError

VERSION = 1
# The content's length first: by that a stream counts what waits (entries.py); then the head's.
_LENGTHS = Struct("<II")
# More than a gateway makes of one body, so that no entry can fill the memory.
_MOST_BYTES = 64 * 1024 * 1024

T = TypeVar("T")


class Columns:
    """Cuts columns off a content, one after the other."""

    def __init__(self, content: bytes, at: int) -> None:
        self._content = content
        self._at = at

    @property
    def left(self) -> int:
        """How many bytes are not cut off yet."""
        return len(self._content) - self._at

    def take(self, kind: str, count: int) -> NDArray[Any]:
        found = np.frombuffer(self._content, kind, count, self._at)
        self._at += found.nbytes
        return found


def encode_entry(head: Mapping[str, Any], columns: Iterable[bytes]) -> bytes:
    """Write an entry of a stream."""
    packed_head = orjson.dumps(head)
    content = b"".join((packed_head, *columns))
    packed: bytes = pa.compress(content, codec="zstd", asbytes=True)
    return bytes((VERSION,)) + _LENGTHS.pack(len(content), len(packed_head)) + packed


def decode_entry(entry: bytes, read: Callable[[Any, Columns], T]) -> T:
    """Give what is read of an entry; UnreadableTelemetryError where it was not written like that.

    `read` takes the head and the columns, and may raise as Python does for what does not fit.
    """
    if not entry or entry[0] != VERSION:
        raise UnreadableTelemetryError(f"it begins with {entry[:1]!r}, not with version {VERSION}")
    try:
        return read(*_unpacked(entry))
    except (
        ValueError,
        TypeError,
        LookupError,
        OSError,
        OverflowError,
        pa.ArrowException,
    ) as broken:
        raise UnreadableTelemetryError(str(broken)) from broken


def _unpacked(entry: bytes) -> tuple[Any, Columns]:
    if len(entry) < 1 + _LENGTHS.size:
        raise ValueError("it has no head")
    length, head_length = _LENGTHS.unpack_from(entry, 1)
    if length > _MOST_BYTES:
        raise ValueError(f"it claims {length} bytes, and {_MOST_BYTES} are the limit")
    content = pa.decompress(entry[1 + _LENGTHS.size :], length, codec="zstd", asbytes=True)
    return orjson.loads(content[:head_length]), Columns(content, head_length)
