"""A decision on its way into the ledger, and the names that decisions and writers carry."""

from collections.abc import Callable
from hashlib import blake2s
from typing import NamedTuple

import orjson

_ID_KEY = b'"decision_id":"'
_COUNTS = 1 << 12
_RANDOM_BYTES = 8
_LENGTH = 36
_VARIANT = "89ab"


class Decision(NamedTuple):
    """One answered row: its id, and the JSON object that is recorded (which holds the id too)."""

    decision_id: str
    row: bytes


class DecisionIds:
    """Ids that sort by time, differ over replicas and cannot be guessed: UUID version 7.

    RFC 9562, section 6.2, method 1: 48 bits of milliseconds, a 12-bit counter within the
    millisecond, 62 random bits. They stay in order when the clock steps back.
    """

    def __init__(self, clock: Callable[[], float], random: Callable[[int], bytes]) -> None:
        """Take seconds since 1970, and a source of unguessable bytes such as `os.urandom`."""
        self._clock = clock
        self._random = random
        self._ms = 0
        self._count = 0

    def take(self, n: int) -> list[str]:
        """Make n ids; one call for a batch, so that the random source is asked once."""
        self._advance(int(self._clock() * 1000))
        noise = self._random(_RANDOM_BYTES * n)
        digits = noise.hex()
        return [
            self._id(_VARIANT[noise[i] & 3] + digits[2 * i + 1 : 2 * (i + _RANDOM_BYTES)])
            for i in range(0, _RANDOM_BYTES * n, _RANDOM_BYTES)
        ]

    def _advance(self, now_ms: int) -> None:
        if now_ms > self._ms:
            self._ms, self._count = now_ms, 0

    def _id(self, tail: str) -> str:
        if self._count == _COUNTS:
            self._advance(self._ms + 1)
        count = self._count
        self._count += 1
        return _written(self._ms, count, tail)


def same_ids(made_ms: int, of: str, n: int) -> list[str]:
    """Make n ids that are the same ones each time, of a text that cannot be guessed."""
    found = []
    for row in range(n):
        noise = blake2s(f"{of} {row}".encode(), digest_size=_RANDOM_BYTES).digest()
        tail = _VARIANT[noise[0] & 3] + noise.hex()[1:]
        found.append(_written(made_ms, row % _COUNTS, tail))
    return found


def _written(ms: int, count: int, tail: str) -> str:
    stamp = f"{ms:012x}"
    return f"{stamp[:8]}-{stamp[8:]}-7{count:03x}-{tail[:4]}-{tail[4:]}"


def id_in(row: bytes) -> str:
    """Read a row's own id, others may be mentioned in it; empty where nobody could ask for it.

    Where no object begins before the key, it is the row's own: within a string its quotes would be
    escaped. To parse the rest of the row would cost twenty times as much.
    """
    at = row.find(_ID_KEY)
    if at > 0 and row.count(b"{", 0, at) == 1:
        start = at + len(_ID_KEY)
        written = row[start : row.find(b'"', start)]
        if b"\\" not in written:
            return written.decode(errors="replace")
    try:
        return str(orjson.loads(row)["decision_id"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""


def time_of(decision_id: str) -> int | None:
    """Read the milliseconds since 1970 off an id; none where it is no id of a gateway's."""
    try:
        return int(decision_id[:8] + decision_id[9:13], 16) if len(decision_id) == _LENGTH else None
    except ValueError:
        return None


def writer_name(role: str, random: Callable[[int], bytes]) -> str:
    """Name a writer for its process's life; a restarted replica begins a chain of its own."""
    return f"{role}-{random(8).hex()}"
