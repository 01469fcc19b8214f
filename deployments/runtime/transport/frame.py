"""A batch as bytes: a JSON head that names the columns, and the columns as one block of floats.

No pickle: reading a frame runs nothing, whoever sent it.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

FloatArray = npt.NDArray[np.float64]

# Rows of a thousand columns of a thousand rows fit many times over; more is an error or an attack.
LARGEST = 64 * 1024 * 1024
# Who has not proved yet that it has the secret has nothing to send but that.
LARGEST_GREETING = 4 * 1024

# length of what follows, call number, kind, length of the head, rows
HEADER = struct.Struct("<IIBII")
LENGTH = struct.Struct("<I")
# GIVEN_UP says that nobody waits for the answer to a call any more; PING asks for a PONG at once.
# Who does not know a kind passes it over.
ASK, ANSWER, FAILURE, HANDSHAKE, GIVEN_UP, PING, PONG = range(7)


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


def body_of(encoded: bytes) -> bytes:
    """Give what follows the length of a frame that came alone; of a stream an Assembler does."""
    return encoded[LENGTH.size :]


def decode(body: bytes | memoryview) -> tuple[int, int, Frame]:
    """Read what follows a frame's length: its call number, its kind, and itself."""
    try:
        _, number, kind, named_length, rows = HEADER.unpack(b"\0\0\0\0" + bytes(body[:13]))
        at = HEADER.size - LENGTH.size
        names, head = orjson.loads(body[at : at + named_length])
        block = np.frombuffer(body, dtype="<f8", offset=at + named_length)
        columns = dict(zip(names, block.reshape(len(names), rows), strict=True))
    except (struct.error, ValueError, TypeError) as error:
        raise DamagedFrameError(f"not a frame: {error}") from error
    if not isinstance(head, dict) or not all(isinstance(name, str) for name in columns):
        raise DamagedFrameError("not a frame: its head is not an object, or a column has no name")
    return number, kind, Frame(columns, head)


class Assembler:
    """Puts frames together from whatever pieces the network delivers."""

    def __init__(self, largest: int = LARGEST) -> None:
        self.largest = largest
        self._pending = bytearray()

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Give the bodies that are whole now; DamagedFrameError for a length nobody sends."""
        self._pending += piece
        while len(self._pending) >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._pending)
            if length > self.largest:
                raise DamagedFrameError(f"{length} bytes, where the largest has {self.largest}")
            end = LENGTH.size + length
            if len(self._pending) < end:
                break
            body = bytes(self._pending[LENGTH.size : end])
            del self._pending[:end]
            yield body
