"""Bounds the large bodies that are on their way in at once: those of one key, and all of a gateway.

Each may take 4 MB and 20 s, and one address may hold thousands of connections.
"""

from collections import Counter
from typing import Self

from deployments.api.errors import OverloadedError, QuotaError

# More than the lanes let wait of requests of that size.
PER_KEY = 32
IN_ALL = 64


class BodyRoom:
    """Counts the large bodies that this gateway reads."""

    def __init__(self, per_key: int = PER_KEY, in_all: int = IN_ALL) -> None:
        self._per_key = per_key
        self._in_all = in_all
        self._held: Counter[str] = Counter()

    def take(self, key_id: str) -> None:
        """Count one more, or refuse it."""
        if self._held[key_id] >= self._per_key:
            raise QuotaError(
                f"The key is sending {self._per_key} large bodies at the same time, which "
                "is the limit: send fewer at once",
                retry_after_s=1,
            )
        if self._held.total() >= self._in_all:
            raise OverloadedError(
                f"This gateway is reading {self._in_all} large bodies, which is the limit: try "
                "again in a second"
            )
        self._held[key_id] += 1

    def give_back(self, key_id: str) -> None:
        self._held[key_id] -= 1
        if self._held[key_id] <= 0:
            del self._held[key_id]


class BodyPermit:
    """The permit of one request, taken only when its body turns out to be large."""

    __slots__ = ("_key_id", "_room", "_taken")

    def __init__(self, room: BodyRoom, key_id: str) -> None:
        self._room = room
        self._key_id = key_id
        self._taken = False

    def take(self) -> None:
        if not self._taken:
            self._room.take(self._key_id)
            self._taken = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.give_back()

    def give_back(self) -> None:
        if self._taken:
            self._room.give_back(self._key_id)
            self._taken = False
