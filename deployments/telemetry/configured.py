"""Which sources run: those that the configuration names, or the demo where it names none."""

import asyncio
from collections.abc import Callable
from typing import Any

from redis.asyncio import Redis

from config_store.sources import EntityFacts, SourceConfig, SourcesConfig
from config_store.store import Version
from deployments.telemetry.backfills import Backfills
from deployments.telemetry.candidates import Candidates
from deployments.telemetry.demo import Demo
from deployments.telemetry.events import SourceEvents
from deployments.telemetry.publishing import FeaturePublisher
from deployments.telemetry.removals import Removals
from deployments.telemetry.running import RunningSources
from features.sources.kafka.reads import forget_other_reads
from features.sources.simulator.source import DEMO
from features.telemetry.source_states import HeldBack
from observability.background import Loops


class ConfiguredSources:
    """Begins and ends sources; one that is changed begins anew, the others go on."""

    def __init__(
        self,
        store: Any,
        redis: Redis,
        loops: Loops,
        demo: Demo,
        running: RunningSources,
        features: FeaturePublisher,
        backfills: Backfills,
        wall: Callable[[], float],
    ) -> None:
        self.wanted: SourcesConfig | None = None
        self.changed = asyncio.Event()
        self._store = store
        self._demo = demo
        self._running = running
        self._features = features
        self._backfills = backfills
        self._wall = wall
        self._removals = Removals(redis, store, features, wall)
        self._candidates = Candidates(
            redis, store, loops, self._removals.is_new, wall, self.changed
        )
        self._reads_kept: frozenset[str] | None = None

    def want(self, version: Version) -> None:
        self.wanted = version.document.sources
        self.changed.set()

    def config_of(self, name: str) -> SourceConfig | None:
        """Give what the configuration says of a source; None where it was not heard of yet."""
        return None if self.wanted is None else self.wanted.named.get(name)

    def facts_of(self, entity: str) -> EntityFacts:
        """Tell what is stated of an entity; of most nothing is."""
        stated = None if self.wanted is None else self.wanted.entities.get(entity)
        return stated or self._demo.facts_of(entity) or EntityFacts()

    def held_back(self, name: str) -> HeldBack | None:
        """Give the mapping that is configured and not followed."""
        return self._candidates.held_back(name)

    async def apply(self) -> bool:
        """Run what the configuration names, and nothing else; False before the first one came."""
        if self.wanted is None:
            return False
        wanted = self.wanted
        await self._removals.load()
        await self._begin_and_stop(wanted)
        await self._removals.follow(wanted.named)
        await self._backfills.keep_only(wanted.named)
        await self._forget_reads(wanted)
        await self._apply_demo(connected=bool(wanted.named))
        return True

    async def close(self) -> None:
        await self._candidates.close()

    async def _begin_and_stop(self, sources: SourcesConfig) -> None:
        not_paused = {name: each for name, each in sources.named.items() if not each.paused}
        running = self._running.configs()
        wanted = await self._candidates.in_force(not_paused, sources.publishing, running)
        for name, config in running.items():
            if wanted.get(name) != config:
                await self._running.stop(name)
        for name, config in wanted.items():
            if running.get(name) != config and not self._removals.owes(name, config):
                self._running.begin(name, config)

    async def _forget_reads(self, wanted: SourcesConfig) -> None:
        """Forget how far topics were read that are connected no more, paused or not."""
        kept = frozenset(name for name, each in wanted.named.items() if each.kind == "kafka")
        if kept != self._reads_kept:
            await asyncio.to_thread(forget_other_reads, self._store, kept)
            self._reads_kept = kept

    async def _apply_demo(self, *, connected: bool) -> None:
        wanted = await self._demo.wanted(connected=connected)
        if wanted and DEMO not in self._running.following:
            self._running.begin_demo(self._demo.source, self._demo.history_days)
        elif not wanted:
            await self._leave_demo()

    async def _leave_demo(self) -> None:
        """Take back what was made up; where a part of it fails, the next round goes on."""
        await self._running.finish_demo()
        if gone := await self._demo.remaining():
            await self._features.withdraw(gone)
            first = next(iter(self.wanted.named), "") if self.wanted else ""
            await SourceEvents(first, self._store, self._wall).demo_removed()
            await self._demo.remove()
        self._running.following.pop(DEMO, None)
