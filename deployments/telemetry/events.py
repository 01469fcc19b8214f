"""What happens to sources and entities, as events on the timeline."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.sources.source import Happened
from features.telemetry.columns import Telemetry
from observability.timeline.event import Event
from observability.timeline.kinds import Kind
from observability.timeline.store import append

# An entity of which so many intervals are missing in a row is silent.
SILENT_INTERVALS = 5


class SourceEvents:
    """Notes what changes with one source; what goes on as before is not noted."""

    def __init__(self, source: str, store: Any, wall: Callable[[], float]) -> None:
        self._source = source
        self._store = store
        self._wall = wall
        self._last_seen: dict[str, int] = {}
        self._silent: set[str] = set()
        self._away = False

    def know(self, last_seen: dict[str, int], cadence_seconds: int) -> None:
        """Take over which entities the source has given before, and when last.

        Those that were silent then are no news.
        """
        self._last_seen = dict(last_seen)
        silent_before = max(last_seen.values(), default=0) - SILENT_INTERVALS * cadence_seconds
        self._silent = {name for name, ts in last_seen.items() if ts <= silent_before}

    async def rows(self, telemetry: Telemetry, cadence_seconds: int, *, newest: bool) -> None:
        """Note deploys, and which entities appear or fall silent."""
        found = deploys(self._source, telemetry.ts, telemetry.entity, telemetry.deploy)
        if newest:
            found += self._appeared(telemetry) + self._fallen_silent(telemetry, cadence_seconds)
        await self._append(found)

    async def happened(self, found: Sequence[Happened]) -> None:
        """Note what the source itself saw."""
        await self._append(
            [
                Event(each.kind, each.time, each.entity, self._source, {"times": each.times})
                for each in found
            ]
        )

    async def answered(self) -> None:
        if self._away:
            self._away = False
            now = self._wall()
            await self._append(
                [
                    Event("source_back", now, source=self._source),
                    Event("breaker_closed", now, source=self._source),
                ]
            )

    async def failed(self, reason: str, failures: int, *, opened: bool) -> None:
        """Note an outage once it is one, and not each call that is lost."""
        if self._away or not opened:
            return
        self._away = True
        now, details = self._wall(), {"reason": reason}
        await self._append(
            [
                Event("source_away", now, source=self._source, details=details),
                Event("breaker_opened", now, source=self._source, details={"failures": failures}),
            ]
        )

    async def published(self, what: str, reason: str, *, accepted: bool) -> None:
        """Note what became of a new version, and why."""
        kind: Kind = "publication_accepted" if accepted else "publication_refused"
        details = {"what": what, "reason": reason}
        await self._append([Event(kind, self._wall(), source=self._source, details=details)])

    async def connected(self) -> None:
        await self._append([Event("source_connected", self._wall(), source=self._source)])

    async def removed(self) -> None:
        await self._append([Event("source_removed", self._wall(), source=self._source)])

    async def backfill_begun(self, at: float, since: str, until: str) -> None:
        details = {"since": since, "until": until}
        await self._append([Event("backfill_begun", at, source=self._source, details=details)])

    async def backfill_ended(self, at: float, outcome: str) -> None:
        details = {"outcome": outcome}
        await self._append([Event("backfill_ended", at, source=self._source, details=details)])

    async def demo_removed(self) -> None:
        await self._append([Event("demo_removed", self._wall(), source=self._source)])

    def _appeared(self, telemetry: Telemetry) -> list[Event]:
        events = []
        for entity, ts in _last_of_each(telemetry).items():
            if entity not in self._last_seen:
                events.append(Event("entity_appeared", float(ts), entity, self._source))
            self._last_seen[entity] = max(ts, self._last_seen.get(entity, ts))
            self._silent.discard(entity)
        return events

    def _fallen_silent(self, telemetry: Telemetry, cadence_seconds: int) -> list[Event]:
        """Compare with the source's other entities: one that is away as a whole is no news here."""
        now = int(telemetry.ts.max())
        late = [
            entity
            for entity, ts in self._last_seen.items()
            if now - ts >= SILENT_INTERVALS * cadence_seconds and entity not in self._silent
        ]
        self._silent |= set(late)
        return [Event("entity_silent", float(now), entity, self._source) for entity in late]

    async def _append(self, events: Sequence[Event]) -> None:
        if events:
            await asyncio.to_thread(append, self._store, events, self._wall())


def _last_of_each(telemetry: Telemetry) -> dict[str, int]:
    last: dict[str, int] = {}
    for entity, ts in zip(telemetry.entity.tolist(), telemetry.ts.tolist(), strict=True):
        last[entity] = max(ts, last.get(entity, ts))
    return last


def deploys(
    source: str, ts: NDArray[np.int64], entity: NDArray[Any], deploy: NDArray[np.int8]
) -> list[Event]:
    """Make an event of each interval that a deploy began in, as the columns of telemetry tell.

    The same interval, appended again, makes the same event.
    """
    return [
        Event("deploy", float(ts[at]), str(entity[at]), source) for at in np.flatnonzero(deploy)
    ]
