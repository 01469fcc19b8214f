"""Where one source's rows go: the column store, the features of replicas, and the timeline."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from deployments.telemetry.entity_limit import EntityLimit
from deployments.telemetry.events import SourceEvents
from deployments.telemetry.followed import Stretch
from deployments.telemetry.publishing import FeaturePublisher
from deployments.telemetry.remapping import Remapping
from features.sources.breaker import Breaker
from features.sources.simulator.source import DEMO
from features.sources.source import Gathered
from features.store import PUBLISHED_SECONDS
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
        remapping: Remapping | None = None,
        forget_positions: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Take what the source gives; one that is remapped has its past fetched anew.

        Whoever remembers how far it was read is to forget it then.
        """
        self._name = name
        self._remapping = remapping
        self._forget_positions = forget_positions
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
        """Tell what is there by the mapping in force."""
        last_seen = await asyncio.to_thread(newest_of_each, self._store, self._name)
        self._empty = not last_seen
        known_from_ms = await self._remapped(last_seen)
        found = await asyncio.to_thread(extent, self._store, self._name, known_from_ms)
        self._events.know(last_seen, self.cadence_seconds)
        self._limit.know(last_seen)
        return Stretch() if found is None else Stretch(found.oldest, found.newest)

    async def _remapped(self, last_seen: dict[str, int]) -> int:
        """Go by the mapping of now; tells since when rows are known that it gave."""
        if self._remapping is None:
            return 0
        if self._forget_positions is not None and await asyncio.to_thread(
            self._remapping.is_new, self._store
        ):
            await self._forget_positions()
        now = self._wall()
        since_ms, renamed = await asyncio.to_thread(
            self._remapping.apply, self._store, milliseconds(now)
        )
        if renamed:  # those that are still measured come again with their next rows
            since = now - PUBLISHED_SECONDS
            await self._features.withdraw([each for each, ts in last_seen.items() if ts > since])
        return since_ms if self._remapping.has_a_past else 0

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
