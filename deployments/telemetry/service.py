"""Brings telemetry in: follows the sources that the configuration names, or the demo.

It lives in the history actor, which alone may write into the embedded store. The configuration is
watched; a source that is changed there is followed anew, the others go on.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from redis.asyncio import Redis

from config_store.sources import EntityFacts
from config_store.store import Version
from config_store.watch import ConfigWatch
from deployments.definitions.service import DefinitionsService
from deployments.history.questions import News
from deployments.history.source_questions import BackfillAsked, BackfillBegun, Checked
from deployments.telemetry.backfills import Backfills
from deployments.telemetry.checking import SourceChecks
from deployments.telemetry.configured import ConfiguredSources
from deployments.telemetry.demo import Demo
from deployments.telemetry.intakes import IntakeDrain
from deployments.telemetry.metering import SourceMeter
from deployments.telemetry.news import is_filling
from deployments.telemetry.ownership import Ownership
from deployments.telemetry.publishing import FeaturePublisher
from deployments.telemetry.running import AWAY, RunningSources
from deployments.telemetry.states import states_of
from features.functions.kept import FunctionModules
from features.sources.simulator.source import DEMO
from features.telemetry.intake import Intake
from features.telemetry.source_states import Backfill, publish_states
from observability.background import BackgroundLoop
from observability.metrics import Metrics
from settings.redis_connection import REDIS_AWAY

APPLY_SECONDS = 1.0
DEFINITIONS_SECONDS = 1.0
INTAKE_SECONDS = 0.5
STATES_SECONDS = 2.0


class TelemetryService:
    """Everything that comes in, whoever sends it."""

    def __init__(
        self,
        store: Any,
        redis: Redis,
        metrics: Metrics,
        demo: Demo,
        modules: FunctionModules,
        *,
        keep_days: int = 0,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Bring telemetry in; of a past that is not kept for so many days nothing is fetched."""
        self._loops = loops = metrics.loops
        self._meter = SourceMeter(metrics)
        self._wall = wall
        self._redis = redis
        self.features = FeaturePublisher(
            store, redis, wall, self.facts_of, lambda: self.definitions.own
        )
        self.definitions = DefinitionsService(
            store, redis, modules, self.facts_of, self.features.publish_again, wall
        )
        self._backfills = Backfills(redis, store, wall, keep_days)
        self._checks = SourceChecks(redis, wall, monotonic)
        self._running = RunningSources(
            store,
            redis,
            loops,
            self.features,
            self._backfills,
            keep_days=keep_days,
            wall=wall,
            monotonic=monotonic,
        )
        self._configured = ConfiguredSources(
            store, redis, loops, demo, self._running, self.features, self._backfills, wall
        )
        intake = Intake(redis, on_dead_letter=metrics.telemetry_dead_letters.inc)
        ownership = Ownership(store, lambda: self._configured.wanted, wall)
        self._intake = IntakeDrain(
            intake, self._running.place, lambda: self._configured.wanted, ownership
        )
        self._filled: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._config = ConfigWatch(redis, self._want, loops=loops)
        self._applying: BackgroundLoop | None = None

    async def start(self) -> None:
        await self._config.start()
        start, changed = self._loops.start, self._configured.changed
        self._applying = start("apply sources", self._apply, lambda: APPLY_SECONDS, wake=changed)
        start(
            "decide on definitions",
            self.definitions.step,
            lambda: DEFINITIONS_SECONDS,
            expected=AWAY,
        )
        start("store posted telemetry", self._intake.step, lambda: INTAKE_SECONDS, expected=AWAY)
        start("tell source states", self._tell_states, lambda: STATES_SECONDS, expected=REDIS_AWAY)

    async def close(self) -> None:
        await self._config.stop()
        if self._applying is not None:  # else it might begin with a source behind the last stop
            await self._loops.stop(self._applying)
        await self._configured.close()
        await self.definitions.close()
        await self._running.stop_all()

    async def filled(self) -> int:
        """Wait until there is what a start needs, and count the rows that came in."""
        return await asyncio.shield(self._filled)

    def news(self, version: str) -> News | None:
        """Tell what was stored of late; nothing where that is what this version told."""
        now = self._wall()
        following = self._running.following
        filling = {name for name, each in following.items() if is_filling(each.followed, now)}
        return self.features.news.since(version, frozenset(filling))

    def progress(self) -> tuple[str, float]:
        """Tell what comes in, and which share of it has."""
        following = self._running.following
        if not following:
            return "Waiting for the configuration of sources", 0.0
        shares = [each.followed.past_share for each in following.values()]
        return f"Reading {', '.join(sorted(following))}", sum(shares) / len(shares)

    async def begin_backfill(self, asked: BackfillAsked) -> BackfillBegun:
        """Have a stretch of a source's past fetched anew, behind what is live."""
        config = self._configured.config_of(asked.source)
        if config is None:
            return BackfillBegun(None, f"The source {asked.source} was not heard of yet: try again")
        running = self._running.following.get(asked.source)
        # By the mapping that is followed: a new one may be held back.
        followed = config if running is None or running.config is None else running.config
        begun = await self._backfills.begin(asked, followed)
        if running is not None:
            running.wake.set()
        return begun

    async def cancel_backfill(self, source: str) -> Backfill | None:
        return await self._backfills.cancel(source)

    async def backfill(self, source: str) -> Backfill | None:
        """Tell how far the last backfill of a source is."""
        await self._backfills.load()
        return self._backfills.of(source)

    async def check(self, source: str) -> Checked | None:
        """Ask a source for its newest intervals; None where it was not heard of yet."""
        config = self._configured.config_of(source)
        return None if config is None else await self._checks.check(source, config)

    @property
    def made_up(self) -> bool:
        """Whether what is stored is the demo's."""
        return DEMO in self._running.following

    def facts_of(self, entity: str) -> EntityFacts:
        """Tell what is stated of an entity; of most nothing is."""
        return self._configured.facts_of(entity)

    def _want(self, version: Version) -> None:
        self.definitions.want(version.document.features)
        self._configured.want(version)

    async def _apply(self) -> None:
        if await self._configured.apply():
            self._say_what_is_filled()

    async def _tell_states(self) -> None:
        """Tell gateways how the sources fare, those of the configuration and the demo."""
        wanted, now = self._configured.wanted, self._wall()
        named = {} if wanted is None else wanted.named
        found = states_of(
            self._running, named, self._intake.by_source, self._configured.held_back, now
        )
        states = [
            each.model_copy(update={"backfill": self._backfills.of(each.name)}) for each in found
        ]
        self._meter.show(states, now)
        await publish_states(self._redis, states, now)

    def _say_what_is_filled(self) -> None:
        """Let a start go on.

        It waits for the demo's past, since models train on it; for others only until each was asked
        once.
        """
        if self._filled.done():
            return
        following = self._running.following
        followed = [each.followed for each in following.values()]
        if all(each.attempted for each in followed) and (
            DEMO not in following or following[DEMO].followed.past_share >= 1.0
        ):
            self._filled.set_result(sum(each.rows for each in followed))
