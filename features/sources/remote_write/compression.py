"""Snappy's block format, bounded before a byte of it is unpacked."""

import pyarrow as pa

from features.errors import UnreadableWriteError, WriteTooLargeError
from features.sources.remote_write.wire import varint

MOST_BYTES = 32 * 1024 * 1024
# A copy of 64 bytes takes three, so no honest writer claims more than this many bytes for one.
_MOST_RATIO = 22


def unpack(raw: bytes) -> bytes:
    """Give the content; what its head claims to hold is judged first."""
    claimed, start = varint(raw, 0, min(len(raw), 5))
    if claimed > MOST_BYTES:
        raise WriteTooLargeError(f"it unpacks to {claimed} bytes, and {MOST_BYTES} are the limit")
    if claimed > (len(raw) - start) * _MOST_RATIO:
        raise UnreadableWriteError(
            f"its head claims {claimed} bytes, more than {len(raw)} bytes of snappy can hold"
        )
    if not claimed:
        return b""
    try:
        content: bytes = pa.decompress(raw, claimed, codec="snappy", asbytes=True)
    except (OSError, pa.ArrowException) as broken:
        raise UnreadableWriteError(f"its snappy is broken ({broken})") from broken
    return content
