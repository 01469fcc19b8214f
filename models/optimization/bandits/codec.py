"""State as bytes, and back to the bit: a header of JSON, then the arrays as they lie in memory.

No pickle: reading it runs nothing. The header names the format, what is inside and each array's
type and shape; a checksum at the end finds a cut or damaged copy.
"""

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from models.errors import ArtifactError

FORMAT = 1
_MAGIC = b"ballast\0"
_INT = 4  # bytes of a length or a checksum
Arrays = dict[str, NDArray[Any]]


def pack(kind: str, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Write facts (anything JSON holds exactly) and arrays of numbers, bools or byte strings."""
    little = {name: _little(values) for name, values in arrays.items()}
    layout = [[name, values.dtype.str, values.shape] for name, values in little.items()]
    header = orjson.dumps({"format": FORMAT, "kind": kind, "facts": facts, "arrays": layout})
    parts = [_MAGIC, _number(len(header)), header, *(each.tobytes() for each in little.values())]
    body = b"".join(parts)
    return body + _number(zlib.crc32(body))


def unpack(kind: str, data: bytes) -> tuple[dict[str, Any], Arrays]:
    """Read what `pack` wrote; ArtifactError when it is damaged, or of another kind or format."""
    try:
        header, body = _opened(data)
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"the {len(data)} bytes are not a {kind}: {error}") from error
    if (found := (header.get("format"), header.get("kind"))) != (FORMAT, kind):
        raise ArtifactError(f"the state is {found}, but this release reads {(FORMAT, kind)}")
    return header["facts"], _arrays(header["arrays"], body)


def _opened(data: bytes) -> tuple[dict[str, Any], bytes]:
    if data[: len(_MAGIC)] != _MAGIC or zlib.crc32(data[:-_INT]) != _read(data[-_INT:]):
        raise ValueError("it is damaged or incomplete")
    start = len(_MAGIC) + _INT
    end = start + _read(data[len(_MAGIC) : start])
    return orjson.loads(data[start:end]), data[end:-_INT]


def _arrays(layout: list[list[Any]], body: bytes) -> Arrays:
    arrays, at = {}, 0
    for name, dtype, shape in layout:
        count = int(np.prod(shape))
        values = np.frombuffer(body, dtype, count, at).reshape(shape)
        at += values.nbytes
        arrays[name] = values.astype(values.dtype.newbyteorder("="))  # a copy that may be written
    return arrays


def _little(values: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<"))


def _number(value: int) -> bytes:
    return value.to_bytes(_INT, "little")


def _read(data: bytes) -> int:
    return int.from_bytes(data, "little")
