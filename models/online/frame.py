"""State as bytes: named, versioned, checked, and back to the same bits.

A frame is a magic word, the kind of state and its version, then each array as its type, length and
little-endian bytes, and a CRC-32 of all that. No pickle: reading one runs nothing.
"""

import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ArtifactError

_MAGIC = b"BLST"
_HEAD = struct.Struct("<4s16sHH")  # magic, kind, version, number of arrays
_ARRAY = struct.Struct("<cQ")
_SUM = struct.Struct("<I")
_TYPES: dict[bytes, np.dtype[Any]] = {
    b"f": np.dtype("<f8"),
    b"i": np.dtype("<i8"),
    b"u": np.dtype("<u1"),
    b"b": np.dtype("?"),
}


def pack(kind: str, version: int, arrays: Sequence[NDArray[Any]]) -> bytes:
    """Write one-dimensional arrays of floats, integers, bytes or booleans."""
    parts = [_HEAD.pack(_MAGIC, kind.encode().ljust(16), version, len(arrays))]
    for array in arrays:
        code = array.dtype.kind.encode()
        parts += [_ARRAY.pack(code, array.size), array.astype(_TYPES[code]).tobytes()]
    body = b"".join(parts)
    return body + _SUM.pack(zlib.crc32(body))


def unpack(kind: str, version: int, data: bytes) -> list[NDArray[Any]]:
    """Read what `pack` wrote; ArtifactError when it is damaged or of another kind or version."""
    body = data[: -_SUM.size]
    if len(data) < _HEAD.size + _SUM.size or _SUM.pack(zlib.crc32(body)) != data[-_SUM.size :]:
        raise ArtifactError(f"{len(data)} bytes of {kind} state are damaged or incomplete")
    magic, found, of_version, count = _HEAD.unpack_from(body)
    if magic != _MAGIC or (found.strip().decode(), of_version) != (kind, version):
        raise ArtifactError(
            f"the state is of kind {found!r}, version {of_version}, but {kind} {version} was "
            "expected"
        )
    arrays, place = [], _HEAD.size
    for _ in range(count):
        code, size = _ARRAY.unpack_from(body, place)
        place += _ARRAY.size
        arrays.append(np.frombuffer(body, _TYPES[code], size, place).copy())
        place += arrays[-1].nbytes
    return arrays
