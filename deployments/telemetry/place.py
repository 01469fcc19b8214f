"""Where one source's rows go: the column store, the features of replicas, and the timeline."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

from deployments.telemetry.entity_limit import EntityLimit
from deployments.telemetry.events import SourceEvents
from deployments.telemetry.followed import Stretch
from deployments.telemetry.publishing import FeaturePublisher
from features.sources.breaker import Breaker
from features.sources.simulator.source import DEMO
from features.sources.source import Gathered
from features.telemetry.by_source import extent, newest_of_each
from features.telemetry.tables import append, milliseconds

# Each attempt costs as much as all that waits: rows are not to be held up by it one by one.
PUBLISH_AGAIN_SECONDS = 5.0

log = logging.getLogger(__name__)


class SourcePlace:
    """Takes in what one source gives."""

    def __init__(
        self,
        name: str,
        cadence_seconds: int,
        store: Any,
        features: FeaturePublisher,
        wall: Callable[[], float],
    ) -> None:
        self._name = name
        self.cadence_seconds = cadence_seconds
        self._store = store
        self._features = features
        self._wall = wall
        self._events = SourceEvents(name, store, wall)
        self._limit = EntityLimit(wall)
        self._empty = False
        self._unpublished: set[str] = set()
        self._failed_at: float | None = None

    async def stretch(self) -> Stretch:
        found = await asyncio.to_thread(extent, self._store, self._name)
        self._empty = found is None
        last_seen = await asyncio.to_thread(newest_of_each, self._store, self._name)
        self._events.know(last_seen, self.cadence_seconds)
        self._limit.know(last_seen)
        return Stretch() if found is None else Stretch(found.oldest, found.newest)

    def within_limit(self, gathered: Gathered) -> Gathered:
        """Leave out entities of a source that names more than can be kept, with a complaint."""
        return self._limit.keep(gathered)

    async def take_in(
        self, gathered: Gathered, *, newest: bool, known_ms: int | None = None
    ) -> None:
        """Store rows, known since now where nothing else is said.

        What is stored is stored: features that cannot be published then wait for the next rows, and
        nobody gives these rows a second time.
        """
        telemetry = gathered.telemetry
        known = milliseconds(self._wall()) if known_ms is None else known_ms
        # First: a source whose rows are stored is not asked for these again, and an event that is
        # noted again is the same one.
        await self._events.happened(gathered.events)
        if self._name != DEMO:
            await self._note(gathered, newest=newest)
        await asyncio.to_thread(append, self._store, telemetry, source=self._name, known_ms=known)
        if newest and len(telemetry):
            self._features.news.note(self._name, telemetry, self.cadence_seconds, known)
            await self._publish(telemetry.entity.tolist(), known)

    async def _publish(self, entities: Iterable[str], known_ms: int) -> None:
        self._unpublished |= set(entities)
        now = self._wall()
        if self._failed_at is not None and 0 <= now - self._failed_at < PUBLISH_AGAIN_SECONDS:
            return
        try:
            await self._features.publish(sorted(self._unpublished), self.cadence_seconds, known_ms)
        except Exception as error:  # noqa: BLE001 - whatever it was, the rows are stored
            if self._failed_at is None:
                log.warning(
                    "Features of the source %r cannot be published; they are with its next rows: "
                    "%r",
                    self._name,
                    error,
                )
            self._failed_at = now
        else:
            self._unpublished.clear()
            self._failed_at = None

    async def answered(self) -> None:
        await self._events.answered()

    async def failed(self, reason: str, breaker: Breaker) -> None:
        opened = breaker.state == "open"
        await self._events.failed(reason, breaker.failed_in_row, opened=opened)

    async def _note(self, gathered: Gathered, *, newest: bool) -> None:
        if self._empty:
            self._empty = False
            await self._events.connected()
        if len(gathered.telemetry):
            await self._events.rows(gathered.telemetry, self.cadence_seconds, newest=newest)
