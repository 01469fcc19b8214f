"""Bounds how many entities one source may name: each costs memory in Redis and in every process."""

from collections.abc import Callable

import numpy as np

from features.sources.source import Complaint, Gathered, add_up

MOST_ENTITIES = 10_000
# One that nobody named for so long makes room for another one.
FORGET_SECONDS = 7 * 86_400.0


class EntityLimit:
    """The entities that one source named lately."""

    def __init__(self, wall: Callable[[], float], most: int = MOST_ENTITIES) -> None:
        self._wall = wall
        self._most = most
        self._named: dict[str, float] = {}

    def know(self, last_seen: dict[str, int]) -> None:
        """Take over which entities the source has named before, and when last."""
        since = self._wall() - FORGET_SECONDS
        self._named = {entity: float(ts) for entity, ts in last_seen.items() if ts > since}

    def keep(self, gathered: Gathered) -> Gathered:
        """Leave out the rows of entities beyond the limit, with a complaint."""
        telemetry, now = gathered.telemetry, self._wall()
        names = dict.fromkeys(telemetry.entity.tolist())
        self._forget(sum(each not in self._named for each in names), now - FORGET_SECONDS)
        beyond = {each for each in names if not self._admit(each, now)}
        if not beyond:
            return gathered
        left_out = np.isin(telemetry.entity, list(beyond))
        complaint = Complaint(
            "out of bounds",
            int(left_out.sum()),
            f"{min(beyond)[:80]!r} would be one of over {self._most} entities: a source names no "
            f"more within {FORGET_SECONDS / 86_400:.0f} days. Name what is there to stay",
        )
        complaints = add_up([*gathered.complaints, complaint])
        return Gathered(telemetry.rows(~left_out), complaints, gathered.until, gathered.events)

    def _forget(self, new: int, before: float) -> None:
        if new and len(self._named) + new > self._most:
            self._named = {name: at for name, at in self._named.items() if at > before}

    def _admit(self, entity: str, now: float) -> bool:
        if entity not in self._named and len(self._named) >= self._most:
            return False
        self._named[entity] = now
        return True
