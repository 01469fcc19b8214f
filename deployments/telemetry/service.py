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
from functools import partial
from typing import Any

from redis.asyncio import Redis

from config_store.sources import ClickhouseSource as ClickhouseConfig
from config_store.sources import (
    EntityFacts,
    KafkaSource,
    LogsSource,
    PostedLogsSource,
    PushSource,
    RemoteWriteSource,
    SourceConfig,
    SourcesConfig,
)
from config_store.sources import PrometheusSource as PrometheusConfig
from config_store.store import Version
from config_store.watch import ConfigWatch
from deployments.definitions.service import DefinitionsService
from deployments.history.questions import News
from deployments.history.source_questions import BackfillAsked, BackfillBegun, Checked
from deployments.telemetry.backfills import Backfills, can_be_asked_again
from deployments.telemetry.building import (
    asked_source,
    kafka_source,
    lines_source,
    log_source,
    samples_source,
)
from deployments.telemetry.candidates import Candidates
from deployments.telemetry.checking import SourceChecks
from deployments.telemetry.consumed import ConsumedSource
from deployments.telemetry.demo import Demo
from deployments.telemetry.events import SourceEvents
from deployments.telemetry.followed import LONGEST_CHUNK, Followed
from deployments.telemetry.intakes import IntakeDrain
from deployments.telemetry.metering import SourceMeter
from deployments.telemetry.news import is_filling
from deployments.telemetry.ownership import Ownership
from deployments.telemetry.place import SourcePlace
from deployments.telemetry.publishing import FeaturePublisher
from deployments.telemetry.remapping import Remapping
from deployments.telemetry.removals import Removals
from deployments.telemetry.states import (
    paused,
    state_of_consumed,
    state_of_followed,
    state_of_posted,
)
from deployments.telemetry.written import PAUSE_SECONDS, WrittenSource
from features.functions.modules import FunctionModules
from features.sources.breaker import Breaker
from features.sources.kafka.reads import forget_other_reads
from features.sources.logs.positions import RedisPositions
from features.sources.logs.stream import LineStream
from features.sources.remote_write.stream import SampleStream
from features.sources.simulator.source import DEMO
from features.telemetry.intake import Intake
from features.telemetry.source_states import Backfill, publish_states
from observability.background import BackgroundLoop
from observability.errors import ClickhouseUnavailableError
from observability.metrics import Metrics
from settings.redis_connection import REDIS_AWAY

APPLY_SECONDS = 1.0
DEFINITIONS_SECONDS = 1.0
INTAKE_SECONDS = 0.5
STATES_SECONDS = 2.0
# In intervals: a start waits for the demo's past, and each piece waits for the disk.
DEMO_CHUNK = 43_200
AWAY = (*REDIS_AWAY, ClickhouseUnavailableError)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Running:
    """A source that is followed, and by which configuration."""

    config: SourceConfig | None
    followed: Followed
    loop: BackgroundLoop
    wake: asyncio.Event


@dataclass(frozen=True, slots=True)
class Receiving:
    """A source whose samples or lines are evaluated, and by which configuration."""

    config: RemoteWriteSource | PostedLogsSource
    written: WrittenSource[Any]
    loop: BackgroundLoop


@dataclass(frozen=True, slots=True)
class Consuming:
    """A source whose messages are read, and by which configuration."""

    config: KafkaSource
    consumed: ConsumedSource
    loop: BackgroundLoop


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
        self._keep_days = keep_days
        self._store = store
        self._loops = loops = metrics.loops
        self._meter = SourceMeter(metrics)
        self._demo = demo
        self._wall = wall
        self._monotonic = monotonic
        self.features = FeaturePublisher(
            store, redis, wall, self.facts_of, lambda: self.definitions.own
        )
        self.definitions = DefinitionsService(
            store, redis, modules, self.facts_of, self.features.publish_again, wall
        )
        self._redis = redis
        self._removals = Removals(redis, store, self.features, wall)
        self._backfills = Backfills(redis, store, wall, keep_days)
        self._checks = SourceChecks(redis, wall, monotonic)
        self._running: dict[str, Running] = {}
        self._receiving: dict[str, Receiving] = {}
        self._consuming: dict[str, Consuming] = {}
        self._reads_kept: frozenset[str] | None = None
        self._wanted: SourcesConfig | None = None
        self._changed = asyncio.Event()
        self._candidates = Candidates(
            redis, store, loops, self._removals.is_new, wall, self._changed
        )
        intake = Intake(redis, on_dead_letter=metrics.telemetry_dead_letters.inc)
        ownership = Ownership(store, lambda: self._wanted, wall)
        self._intake = IntakeDrain(intake, self._place, lambda: self._wanted, ownership)
        self._filled: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._config = ConfigWatch(redis, self._want, loops=loops)

    async def start(self) -> None:
        await self._config.start()
        start = self._loops.start
        start("apply sources", self._apply, lambda: APPLY_SECONDS, wake=self._changed)
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
        await self._candidates.close()
        await self.definitions.close()
        for name in [*self._running, *self._receiving, *self._consuming]:
            await self._stop(name)

    async def filled(self) -> int:
        """Wait until there is what a start needs, and count the rows that came in."""
        return await asyncio.shield(self._filled)

    def news(self, version: str) -> News | None:
        """Tell what was stored of late; nothing where that is what this version told."""
        now = self._wall()
        filling = {name for name, each in self._running.items() if is_filling(each.followed, now)}
        return self.features.news.since(version, frozenset(filling))

    def progress(self) -> tuple[str, float]:
        """Tell what comes in, and which share of it has."""
        if not self._running:
            return "Waiting for the configuration of sources", 0.0
        shares = [each.followed.past_share for each in self._running.values()]
        return f"Reading {', '.join(sorted(self._running))}", sum(shares) / len(shares)

    async def begin_backfill(self, asked: BackfillAsked) -> BackfillBegun:
        """Have a stretch of a source's past fetched anew, behind what is live."""
        config = None if self._wanted is None else self._wanted.named.get(asked.source)
        if config is None:
            return BackfillBegun(None, f"The source {asked.source} was not heard of yet: try again")
        running = self._running.get(asked.source)
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
        config = None if self._wanted is None else self._wanted.named.get(source)
        return None if config is None else await self._checks.check(source, config)

    @property
    def made_up(self) -> bool:
        """Whether what is stored is the demo's."""
        return DEMO in self._running

    def facts_of(self, entity: str) -> EntityFacts:
        """Tell what is stated of an entity; of most nothing is."""
        stated = None if self._wanted is None else self._wanted.entities.get(entity)
        return stated or self._demo.facts_of(entity) or EntityFacts()

    def _want(self, version: Version) -> None:
        self._wanted = version.document.sources
        self.definitions.want(version.document.features)
        self._changed.set()

    async def _apply(self) -> None:
        """Follow what the configuration names, and nothing else."""
        if self._wanted is None:
            return
        not_paused = {name: each for name, each in self._wanted.named.items() if not each.paused}
        known: dict[str, SourceConfig | None] = {
            name: each.config for name, each in self._running.items() if name != DEMO
        }
        known |= {name: each.config for name, each in self._receiving.items()}
        known |= {name: each.config for name, each in self._consuming.items()}
        await self._removals.load()
        running = {name: each for name, each in known.items() if each is not None}
        wanted = await self._candidates.in_force(not_paused, self._wanted.publishing, running)
        for name, config in known.items():
            if wanted.get(name) != config:
                await self._stop(name)
        for name, named in wanted.items():
            runs = wanted.get(name) == known.get(name) and name in known
            if not runs and not self._removals.owes(name, named):
                self._begin(name, named)
        await self._removals.follow(self._wanted.named)
        await self._backfills.keep_only(self._wanted.named)
        await self._forget_reads(self._wanted)
        await self._apply_demo(connected=bool(self._wanted.named))
        self._say_what_is_filled()

    async def _apply_demo(self, *, connected: bool) -> None:
        wanted = await self._demo.wanted(connected=connected)
        if wanted and DEMO not in self._running:
            self._follow(DEMO, None, self._demo.source, self._demo.history_days)
        elif not wanted:
            await self._leave_demo()

    async def _leave_demo(self) -> None:
        """Take back what was made up; where a part of it fails, the next round goes on."""
        if DEMO in self._running:
            # Not cancelled: what is being stored in a thread would come behind its removal.
            await self._loops.finish(self._running[DEMO].loop)
        if gone := await self._demo.remaining():
            await self.features.withdraw(gone)
            first = next(iter(self._wanted.named), "") if self._wanted else ""
            await SourceEvents(first, self._store, self._wall).demo_removed()
            await self._demo.remove()
        self._running.pop(DEMO, None)

    def _begin(self, name: str, config: SourceConfig) -> None:
        """Begin with a source; what clients post under its name needs no beginning."""
        match config:
            case PrometheusConfig() | ClickhouseConfig():
                source = asked_source(name, config, self._wall)
                self._follow(name, config, source, config.history_days)
            case LogsSource():
                logs = log_source(name, config, self._redis, self._wall)
                self._follow(name, config, logs, config.history_days)
            case RemoteWriteSource() | PostedLogsSource():
                self._receive(name, config)
            case KafkaSource():
                self._consume(name, config)
            case PushSource():
                pass

    def _receive(self, name: str, config: RemoteWriteSource | PostedLogsSource) -> None:
        place = self._place(name, config.cadence_seconds, config)
        written: WrittenSource[Any]
        if isinstance(config, RemoteWriteSource):
            stream = SampleStream(self._redis, name)
            written = samples_source(config, stream, place, self._wall)
        else:
            lines = LineStream(self._redis, name)
            written = lines_source(config, lines, place, self._wall)
        loop = self._loops.start(
            f"evaluate {name}", written.step, lambda: PAUSE_SECONDS, expected=AWAY
        )
        self._receiving[name] = Receiving(config, written, loop)

    def _consume(self, name: str, config: KafkaSource) -> None:
        place = self._place(name, config.cadence_seconds)
        breaker = Breaker(self._monotonic, random.random)
        consumed = kafka_source(name, config, self._store, place, breaker, self._wall)
        loop = self._loops.start(
            f"consume {name}", consumed.step, consumed.pause_seconds, expected=AWAY
        )
        self._consuming[name] = Consuming(config, consumed, loop)

    async def _forget_reads(self, wanted: SourcesConfig) -> None:
        """Forget how far topics were read that are connected no more, paused or not."""
        kept = frozenset(name for name, each in wanted.named.items() if each.kind == "kafka")
        if kept != self._reads_kept:
            await asyncio.to_thread(forget_other_reads, self._store, kept)
            self._reads_kept = kept

    def _follow(self, name: str, config: SourceConfig | None, source: Any, days: int) -> None:
        place = self._place(name, source.cadence_seconds, config)
        followed = Followed(
            name,
            source,
            place,
            Breaker(self._monotonic, random.random),
            history_days=min(days, self._keep_days or days),
            longest_chunk=DEMO_CHUNK if config is None else LONGEST_CHUNK,
            # What logs give of a later interval cannot be asked for first: their positions move.
            passes_over=not isinstance(config, LogsSource),
            within_limit=place.within_limit,
            afterwards=(
                partial(self._backfills.step, config, place, name)
                if config is not None and can_be_asked_again(config)
                else None
            ),
            wall=self._wall,
        )
        wake = asyncio.Event()
        loop = self._loops.start(f"follow {name}", followed.step, followed.pause_seconds, wake=wake)
        self._running[name] = Running(config, followed, loop, wake)

    async def _stop(self, name: str) -> None:
        if (receiving := self._receiving.pop(name, None)) is not None:
            await self._loops.stop(receiving.loop)
            return
        if (consuming := self._consuming.pop(name, None)) is not None:
            # Not cancelled: a note that is being written would come behind its removal.
            await self._loops.finish(consuming.loop)
            await consuming.consumed.close()
            return
        running = self._running.pop(name)
        await self._loops.stop(running.loop)
        await running.followed.close()

    def _place(
        self, name: str, cadence_seconds: int, config: SourceConfig | None = None
    ) -> SourcePlace:
        positions = RedisPositions(self._redis, name)
        return SourcePlace(
            name,
            cadence_seconds,
            self._store,
            self.features,
            self._wall,
            None if config is None else Remapping(name, config),
            positions.forget if isinstance(config, LogsSource) else None,
        )

    async def _tell_states(self) -> None:
        """Tell gateways how the sources fare, those of the configuration and the demo."""
        named = {} if self._wanted is None else self._wanted.named
        followed = [
            state_of_followed(name, each.config, each.followed, self._candidates.held_back(name))
            for name, each in self._running.items()
        ]
        posted = [
            state_of_posted(name, each, self._intake.by_source.get(name), self._wall())
            for name, each in named.items()
            if each.kind == "push" and not each.paused
        ]
        posted += [
            state_of_posted(name, each.config, each.written, self._wall())
            for name, each in self._receiving.items()
        ]
        consumed = [
            state_of_consumed(name, each.config, each.consumed, self._wall())
            for name, each in self._consuming.items()
        ]
        found = [*followed, *posted, *consumed, *paused(named)]
        states = [
            each.model_copy(update={"backfill": self._backfills.of(each.name)})
            for each in sorted(found, key=lambda each: each.name)
        ]
        self._meter.show(states, self._wall())
        await publish_states(self._redis, states, self._wall())

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
