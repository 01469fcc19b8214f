"""Which other replicas are alive, by what each writes into a hash in Redis every second.

A replica that is seen for the first time is judged by the time in what it wrote: one that died long
ago left that behind. From then on it is alive while it writes anything new, by the clock of the one
that reads: machines whose clocks differ would take each other for dead for good.
"""

from collections.abc import Mapping
from typing import NamedTuple

import orjson

from deployments.runtime.clocks import Clocks


class _Seen(NamedTuple):
    """What a replica wrote last, and since when that is known here."""

    written: bytes
    since: float


class Peers:
    """The others, as one replica sees them."""

    def __init__(self, alive_seconds: float, clocks: Clocks) -> None:
        """Take for how long a replica that writes nothing new counts as alive."""
        self._alive_seconds = alive_seconds
        self._clocks = clocks
        self._seen: dict[str, _Seen] = {}

    def gone(self, written: Mapping[str, bytes]) -> set[str]:
        """Name those of the others that are not alive; what they wrote may be removed."""
        now = self._clocks.monotonic()
        self._seen = {
            name: self._look(self._seen.get(name), each, now) for name, each in written.items()
        }
        return {name for name, seen in self._seen.items() if now - seen.since > self._alive_seconds}

    def _look(self, before: _Seen | None, written: bytes, now: float) -> _Seen:
        if before is None:
            return _Seen(written, now if self._is_recent(written) else float("-inf"))
        return before if before.written == written else _Seen(written, now)

    def _is_recent(self, written: bytes) -> bool:
        try:
            at = float(orjson.loads(written)["at"])
        except (ValueError, KeyError, TypeError):  # of another release
            return False
        return self._clocks.wall() - at <= self._alive_seconds
