"""Read the binary JSON that XGBoost saves its boosters in, without XGBoost.

Universal Binary JSON, draft 12 (https://ubjson.org): a letter says what follows, numbers are
big-endian, and an array of one type says so once. Floats arrive with the bits they were saved with.
"""

import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from models.errors import ArtifactError

_NUMBERS = {
    mark: struct.Struct(">" + code)
    for mark, code in {"i": "b", "U": "B", "I": "h", "l": "i", "L": "q", "d": "f", "D": "d"}.items()
}
_ARRAYS = {mark: np.dtype(number.format) for mark, number in _NUMBERS.items()}
_CONSTANTS = {"Z": None, "T": True, "F": False}


def decode(document: bytes) -> Any:
    """Read one document; an array of one type of number becomes a numpy array."""
    try:
        found, end = _value(document, 0)
    except (struct.error, ValueError, KeyError, IndexError, RecursionError) as error:
        raise ArtifactError(f"the bytes are not UBJSON: {error!r}") from error
    if end != len(document):
        raise ArtifactError(f"{len(document) - end} bytes are left over after the UBJSON document")
    return found


def _value(document: bytes, place: int) -> tuple[Any, int]:
    return _of_mark(document, place + 1, _mark(document, place))


def _of_mark(document: bytes, place: int, mark: str) -> tuple[Any, int]:
    if mark in _CONSTANTS:
        return _CONSTANTS[mark], place
    if mark in _NUMBERS:
        (number,) = _NUMBERS[mark].unpack_from(document, place)
        return number, place + _NUMBERS[mark].size
    return _COMPOSED[mark](document, place)


def _mark(document: bytes, place: int) -> str:
    return chr(document[place])


def _text(document: bytes, place: int) -> tuple[str, int]:
    size, start = _value(document, place)
    if not 0 <= size <= len(document) - start:
        raise ValueError(f"a text of {size} bytes at {place}")
    return document[start : start + size].decode(), start + size


def _object(document: bytes, place: int) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    while _mark(document, place) != "}":
        name, place = _text(document, place)
        found[name], place = _value(document, place)
    return found, place + 1


def _array(document: bytes, place: int) -> tuple[Any, int]:
    if _mark(document, place) == "$":
        size, start = _value(document, place + 3)  # past $, the type, and #
        kind = _ARRAYS[_mark(document, place + 1)]
        # A copy in this machine's order of bytes.
        numbers = np.frombuffer(document, kind, size, start).astype(kind.newbyteorder("="))
        return numbers, start + size * kind.itemsize
    if _mark(document, place) == "#":
        size, place = _value(document, place + 1)
        return _elements(document, place, size)
    elements = []
    while _mark(document, place) != "]":
        element, place = _value(document, place)
        elements.append(element)
    return elements, place + 1


def _elements(document: bytes, place: int, size: int) -> tuple[list[Any], int]:
    elements = []
    for _ in range(size):
        element, place = _value(document, place)
        elements.append(element)
    return elements, place


_COMPOSED: dict[str, Callable[[bytes, int], tuple[Any, int]]] = {
    "S": _text,
    "{": _object,
    "[": _array,
}
