"""The sources that run: how each kind begins, and how it ends."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from redis.asyncio import Redis

from config_store.sources import CandlesSource as CandlesConfig
from config_store.sources import ClickhouseSource as ClickhouseConfig
from config_store.sources import (
    KafkaSource,
    LogsSource,
    PostedLogsSource,
    PushSource,
    RemoteWriteSource,
    SourceConfig,
)
from config_store.sources import PrometheusSource as PrometheusConfig
from deployments.telemetry.backfills import Backfills, can_be_asked_again
from deployments.telemetry.building import (
    kafka_source,
    lines_source,
    log_source,
    queried_source,
    samples_source,
)
from deployments.telemetry.consumed import ConsumedSource
from deployments.telemetry.followed import LONGEST_CHUNK, Followed
from deployments.telemetry.place import SourcePlace
from deployments.telemetry.publishing import FeaturePublisher
from deployments.telemetry.remapping import Remapping
from deployments.telemetry.written import PAUSE_SECONDS, WrittenSource
from features.sources.breaker import Breaker
from features.sources.logs.positions import RedisPositions
from features.sources.logs.stream import LineStream
from features.sources.remote_write.stream import SampleStream
from features.sources.simulator.source import DEMO
from observability.background import BackgroundLoop, Loops
from observability.errors import ClickhouseUnavailableError
from settings.redis_connection import REDIS_AWAY

# In intervals: a start waits for the demo's past, and each piece waits for the disk.
DEMO_CHUNK = 43_200
AWAY = (*REDIS_AWAY, ClickhouseUnavailableError)


@dataclass(frozen=True, slots=True)
class Following:
    """A source that is followed, and by which configuration; the demo has none."""

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


class RunningSources:
    """One background loop for each source; what clients post needs none."""

    def __init__(
        self,
        store: Any,
        redis: Redis,
        loops: Loops,
        features: FeaturePublisher,
        backfills: Backfills,
        *,
        keep_days: int = 0,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Run sources; of a past that is not kept for so many days nothing is fetched."""
        self.following: dict[str, Following] = {}
        self.receiving: dict[str, Receiving] = {}
        self.consuming: dict[str, Consuming] = {}
        self._store = store
        self._redis = redis
        self._loops = loops
        self._features = features
        self._backfills = backfills
        self._keep_days = keep_days
        self._wall = wall
        self._monotonic = monotonic

    def configs(self) -> dict[str, SourceConfig]:
        """Give the configuration that each source runs by; the demo has none."""
        followed = {name: each.config for name, each in self.following.items()}
        return {
            **{name: config for name, config in followed.items() if config is not None},
            **{name: each.config for name, each in self.receiving.items()},
            **{name: each.config for name, each in self.consuming.items()},
        }

    def begin(self, name: str, config: SourceConfig) -> None:
        """Begin with a source; what clients post under its name needs no beginning."""
        match config:
            case PrometheusConfig() | ClickhouseConfig() | CandlesConfig():
                source = queried_source(name, config, self._wall)
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

    def begin_demo(self, source: Any, history_days: int) -> None:
        self._follow(DEMO, None, source, history_days)

    async def stop(self, name: str) -> None:
        if (receiving := self.receiving.pop(name, None)) is not None:
            await self._loops.stop(receiving.loop)
            return
        if (consuming := self.consuming.pop(name, None)) is not None:
            try:
                # Not cancelled: a note that is being written would come behind its removal.
                await self._loops.finish(consuming.loop)
            finally:
                await consuming.consumed.close()
            return
        following = self.following.pop(name)
        try:
            await self._loops.stop(following.loop)
        finally:  # also where whoever stops it is stopped meanwhile: nobody else knows of it now
            await following.followed.close()

    async def stop_all(self) -> None:
        for name in [*self.following, *self.receiving, *self.consuming]:
            await self.stop(name)

    async def finish_demo(self) -> None:
        """Let the demo's step that runs come to its end, and start no other."""
        if DEMO in self.following:
            # Not cancelled: what is being stored in a thread would come behind its removal.
            await self._loops.finish(self.following[DEMO].loop)

    def place(
        self, name: str, cadence_seconds: int, config: SourceConfig | None = None
    ) -> SourcePlace:
        """Make the place that a source's rows go to."""
        positions = RedisPositions(self._redis, name)
        return SourcePlace(
            name,
            cadence_seconds,
            self._store,
            self._features,
            self._wall,
            None if config is None else Remapping(name, config),
            positions.forget if isinstance(config, LogsSource) else None,
        )

    def _receive(self, name: str, config: RemoteWriteSource | PostedLogsSource) -> None:
        place = self.place(name, config.cadence_seconds, config)
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
        self.receiving[name] = Receiving(config, written, loop)

    def _consume(self, name: str, config: KafkaSource) -> None:
        place = self.place(name, config.cadence_seconds)
        breaker = Breaker(self._monotonic, random.random)
        consumed = kafka_source(name, config, self._store, place, breaker, self._wall)
        loop = self._loops.start(
            f"consume {name}", consumed.step, consumed.pause_seconds, expected=AWAY
        )
        self.consuming[name] = Consuming(config, consumed, loop)

    def _follow(self, name: str, config: SourceConfig | None, source: Any, days: int) -> None:
        place = self.place(name, source.cadence_seconds, config)
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
        self.following[name] = Following(config, followed, loop, wake)
