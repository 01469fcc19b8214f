"""A batch as bytes: a JSON head that names the columns, and the columns as one block of floats.

No pickle: reading a frame runs nothing, whoever sent it.
"""

import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

FloatArray = npt.NDArray[np.float64]

# Rows of a thousand columns of a thousand rows fit many times over; more is an error or an attack.
LARGEST = 64 * 1024 * 1024

# length of what follows, call number, kind, length of the head, rows
HEADER = struct.Struct("<IIBII")
LENGTH = struct.Struct("<I")
ASK, ANSWER, FAILURE, GREETING = range(4)


class DamagedFrameError(Exception):
    """These bytes are no frame: the connection they came over is closed."""


@dataclass(slots=True)
class Frame:
    """Named columns of equal length, and what else there is to say of them."""

    columns: dict[str, FloatArray]
    head: dict[str, Any] = field(default_factory=dict)


def encode(frame: Frame, number: int, kind: int) -> bytes:
    columns = list(frame.columns.values())
    rows = len(columns[0]) if columns else 0
    named = orjson.dumps([list(frame.columns), frame.head], option=orjson.OPT_NON_STR_KEYS)
    block = np.array(columns, dtype="<f8").tobytes() if rows else b""
    length = HEADER.size - LENGTH.size + len(named) + len(block)
    return b"".join((HEADER.pack(length, number, kind, len(named), rows), named, block))


def decode(body: bytes | memoryview) -> tuple[int, int, Frame]:
    """Read what follows a frame's length: its call number, its kind, and itself."""
    try:
        _, number, kind, named_length, rows = HEADER.unpack(b"\0\0\0\0" + bytes(body[:13]))
        at = HEADER.size - LENGTH.size
        names, head = orjson.loads(body[at : at + named_length])
        block = np.frombuffer(body, dtype="<f8", offset=at + named_length)
        matrix = block.reshape(len(names), rows)
    except (struct.error, ValueError, TypeError) as error:
        raise DamagedFrameError(f"not a frame: {error}") from error
    return number, kind, Frame(dict(zip(names, matrix, strict=True)), head)


class Assembler:
    """Puts frames together from whatever pieces the network delivers."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, piece: bytes) -> list[bytes]:
        """Give the bodies that are whole now; DamagedFrameError for a length nobody sends."""
        self._pending += piece
        whole = []
        while len(self._pending) >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._pending)
            if length > LARGEST:
                raise DamagedFrameError(f"a frame of {length} bytes; the largest has {LARGEST}")
            end = LENGTH.size + length
            if len(self._pending) < end:
                break
            whole.append(bytes(self._pending[LENGTH.size : end]))
            del self._pending[:end]
        return whole
