"""Brings telemetry in: follows the sources that the configuration names, or the demo.

It lives in the history actor, which alone may write into the embedded store. The configuration is
watched; a source that is changed there is followed anew, the others go on.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from config_store.sources import EntityFacts, SourceConfig, SourcesConfig
from config_store.store import Version
from config_store.watch import ConfigWatch
from deployments.telemetry.building import build
from deployments.telemetry.demo import Demo
from deployments.telemetry.followed import Followed, Place, Stretch
from deployments.telemetry.publishing import FeaturePublisher
from features.sources.breaker import Breaker
from features.sources.simulator.source import DEMO
from features.sources.source import Gathered
from features.telemetry import stored
from observability.background import BackgroundLoop, Loops

APPLY_SECONDS = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Running:
    """A source that is followed, and by which configuration."""

    config: SourceConfig | None
    followed: Followed
    loop: BackgroundLoop


class TelemetryService:
    """Everything that comes in, whoever sends it."""

    def __init__(
        self,
        store: Any,
        redis: Redis,
        loops: Loops,
        demo: Demo,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._loops = loops
        self._demo = demo
        self._wall = wall
        self._monotonic = monotonic
        self.features = FeaturePublisher(store, redis, wall, monotonic)
        self._running: dict[str, Running] = {}
        self._wanted: SourcesConfig | None = None
        self._changed = asyncio.Event()
        self._filled: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._config = ConfigWatch(redis, self._want, loops=loops)

    async def start(self) -> None:
        await self._config.start()
        self._loops.start("apply sources", self._apply, lambda: APPLY_SECONDS, wake=self._changed)

    async def close(self) -> None:
        await self._config.stop()
        for name in tuple(self._running):
            await self._stop(name)

    async def filled(self) -> int:
        """Wait until there is what a start needs, and count the rows that came in."""
        return await asyncio.shield(self._filled)

    def progress(self) -> tuple[str, float]:
        """Tell what comes in, and which share of it has."""
        if not self._running:
            return "Waiting for the configuration of sources", 0.0
        shares = [each.followed.past_share for each in self._running.values()]
        return f"Reading {', '.join(sorted(self._running))}", sum(shares) / len(shares)

    def facts_of(self, entity: str) -> EntityFacts:
        """Tell what is stated of an entity; of most nothing is."""
        stated = None if self._wanted is None else self._wanted.entities.get(entity)
        return stated or self._demo.facts_of(entity) or EntityFacts()

    def _want(self, version: Version) -> None:
        self._wanted = version.document.sources
        self._changed.set()

    async def _apply(self) -> None:
        """Follow what the configuration names, and nothing else."""
        if self._wanted is None:
            return
        wanted = {name: each for name, each in self._wanted.named.items() if not each.paused}
        for name, running in tuple(self._running.items()):
            if name != DEMO and wanted.get(name) != running.config:
                await self._stop(name)
        for name, config in wanted.items():
            if name not in self._running:
                source = build(name, config, self._wall)
                if source is not None:
                    self._follow(name, config, source, getattr(config, "history_days", 0))
        await self._apply_demo(connected=bool(self._wanted.named))
        self._say_what_is_filled()

    async def _apply_demo(self, *, connected: bool) -> None:
        wanted = await self._demo.wanted(connected=connected)
        if wanted and DEMO not in self._running:
            self._follow(DEMO, None, self._demo.source, self._demo.history_days)
        elif not wanted and DEMO in self._running:
            await self._stop(DEMO)
        if not wanted and (gone := await self._demo.remove()):
            await self.features.withdraw(gone)

    def _follow(self, name: str, config: SourceConfig | None, source: Any, days: int) -> None:
        followed = Followed(
            name,
            source,
            Place(lambda: self._stretch(name), lambda g, newest: self._take_in(name, g, newest)),
            Breaker(self._monotonic, random.random),
            history_days=days,
            wall=self._wall,
        )
        loop = self._loops.start(f"follow {name}", followed.step, followed.pause_seconds)
        self._running[name] = Running(config, followed, loop)

    async def _stop(self, name: str) -> None:
        running = self._running.pop(name)
        await self._loops.stop(running.loop)
        await running.followed.close()

    async def _stretch(self, name: str) -> Stretch:
        found = await asyncio.to_thread(stored.stretch_of, self._store, name)
        return Stretch() if found is None else Stretch(*found)

    async def _take_in(self, name: str, gathered: Gathered, newest: bool) -> None:
        telemetry = gathered.telemetry
        known_ms = int(self._wall() * 1000) + 1
        await asyncio.to_thread(
            stored.append, self._store, telemetry, source=name, known_ms=known_ms
        )
        if newest:
            await self.features.publish(sorted(set(telemetry.entity.tolist())))

    def _say_what_is_filled(self) -> None:
        """Let a start go on.

        It waits for the demo's past, since models train on it; for others only until each was asked
        once.
        """
        if self._filled.done():
            return
        followed = [each.followed for each in self._running.values()]
        if all(each.attempted for each in followed) and (
            DEMO not in self._running or self._running[DEMO].followed.past_share >= 1.0
        ):
            self._filled.set_result(sum(each.rows for each in followed))
