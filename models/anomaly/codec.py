"""A detector's state as bytes: a versioned header, then its arrays, nothing that can execute.

    "BLSA" | version, u16 | length of the header, u32 | header, JSON | arrays | crc32, u32

Everything is little-endian. Reading back gives the same bits; a byte lost or changed is noticed.
"""

import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ArtifactError

_MAGIC = b"BLSA"
_VERSION = 1
_PREFIX = struct.Struct("<4sHI")
_CHECKSUM = struct.Struct("<I")
_DTYPES = frozenset({"<f8", "<f4", "<i8", "<i4", "<i2", "|i1", "|u1", "<u2", "<u8"})

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Snapshot:
    kind: str
    """Which detector this is the state of."""
    settings: Mapping[str, Any]
    arrays: dict[str, NDArray[Any]]


def encode(kind: str, settings: Mapping[str, Any], arrays: Arrays) -> bytes:
    stored = {
        name: np.asarray(a, order="C").astype(_little(a), copy=False) for name, a in arrays.items()
    }
    header = {
        "kind": kind,
        "settings": dict(settings),
        "arrays": [[name, a.dtype.str, list(a.shape)] for name, a in stored.items()],
    }
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    parts = [
        _PREFIX.pack(_MAGIC, _VERSION, len(text)),
        text,
        *(a.tobytes() for a in stored.values()),
    ]
    body = b"".join(parts)
    return body + _CHECKSUM.pack(zlib.crc32(body))


def decode(data: bytes, kind: str) -> Snapshot:
    """Read what `encode` wrote; ArtifactError when it is damaged or of another kind or release."""
    header, offset = _header(data)
    if header["kind"] != kind:
        raise ArtifactError(f"the snapshot is of a {header['kind']!r}, not of a {kind!r}")
    arrays = dict[str, NDArray[Any]]()
    for name, dtype, shape in header["arrays"]:
        arrays[name], offset = _array(data, offset, dtype, shape)
    if offset != len(data) - _CHECKSUM.size:
        raise ArtifactError("the snapshot is longer than its header says")
    return Snapshot(kind, header["settings"], arrays)


def _header(data: bytes) -> tuple[dict[str, Any], int]:
    if len(data) < _PREFIX.size + _CHECKSUM.size or data[:4] != _MAGIC:
        raise ArtifactError("the bytes are not a snapshot of a detector")
    _, version, length = _PREFIX.unpack_from(data)
    if version != _VERSION:
        raise ArtifactError(f"the snapshot has format {version}; this release reads {_VERSION}")
    if zlib.crc32(data[: -_CHECKSUM.size]) != _CHECKSUM.unpack(data[-_CHECKSUM.size :])[0]:
        raise ArtifactError("the snapshot is damaged: its checksum does not match")
    end = _PREFIX.size + length
    return json.loads(data[_PREFIX.size : end]), end


def _array(data: bytes, offset: int, dtype: str, shape: list[int]) -> tuple[NDArray[Any], int]:
    if dtype not in _DTYPES:
        raise ArtifactError(f"the snapshot holds an array of type {dtype!r}")
    count = int(np.prod(shape, dtype=np.int64))
    if count * np.dtype(dtype).itemsize > len(data) - _CHECKSUM.size - offset:
        raise ArtifactError("the snapshot is shorter than its header says")
    values = np.frombuffer(data, np.dtype(dtype), count, offset)
    return values.reshape(shape).copy(), offset + values.nbytes


def _little(array: NDArray[Any]) -> np.dtype[Any]:
    return array.dtype.newbyteorder("<")
