"""The anomaly deployment: follows streams, each of which lives on one replica and in Redis."""

import asyncio
import os
from typing import Any

from config_store.document import StreamsConfig
from config_store.store import Version
from deployments.anomaly import points, regime
from deployments.anomaly.alarm_budget import AlarmBudget
from deployments.anomaly.holders import Holders
from deployments.anomaly.telemetry.feeder import Feeder
from deployments.anomaly.telemetry.handler import EvenBudget, TelemetryHandler
from deployments.anomaly.telemetry.keys import KIND
from deployments.anomaly.telemetry.recall import MODEL, recalled
from deployments.anomaly.telemetry.streams import TelemetryKeys
from deployments.anomaly.warm import warm
from deployments.history.client import HistoryAwayError
from deployments.runtime.batch import Batch, Prediction
from deployments.runtime.replica import Replica
from deployments.runtime.state.cache import StateCacheLimits
from deployments.runtime.state.log import KeyLog
from deployments.runtime.state.routing import together
from deployments.runtime.state.service import KeyedService
from deployments.runtime.state.stage import KeyedStage, bytes_for_each, creation
from deployments.runtime.transport.frame import Frame
from deployments.runtime.version import VERSION
from observability.background import BackgroundLoop
from observability.ledger.decision import DecisionIds
from settings.redis_connection import REDIS_AWAY

MODELS = {"regime": "anomaly/bocpd", "anomaly": "anomaly/forest", KIND: MODEL}
FEED_SECONDS = 2.0


class Anomaly(KeyedStage[StreamsConfig]):
    def __init__(self, replica: Replica) -> None:
        clock = replica.clocks.wall
        self._alarm_budget = AlarmBudget(clock())
        self._holders = Holders(replica.redis)
        even = EvenBudget()
        followed = _of_telemetry(replica, even)
        super().__init__(replica, _services(replica, self._alarm_budget) | {KIND: followed})
        keys = TelemetryKeys(
            followed,
            KeyLog(replica.redis, KIND),
            even,
            DecisionIds(clock, os.urandom),
            replica.clocks.monotonic,
        )
        self._feeder = Feeder(
            keys, replica.redis, self._holders.leads, self._active, replica.clocks.monotonic
        )

    async def prepare(self) -> None:
        """Compile the kernels: once on a machine, after that they are read from their files."""
        await asyncio.to_thread(warm)

    def model_of(self, family: str) -> tuple[str, str]:
        return MODELS[family], VERSION

    def compile(self, version: Version) -> StreamsConfig:
        return version.document.streams

    def start_work(self) -> list[BackgroundLoop]:
        away = (*REDIS_AWAY, HistoryAwayError)
        feeding = self.replica.loops.start(
            "feed telemetry", self._feeder.step, lambda: FEED_SECONDS, expected=away
        )
        return [feeding, *super().start_work()]

    async def answer(self, frame: Frame, compiled: StreamsConfig) -> Frame:
        """Answer rows that bring observations by their streams, and others by the telemetry's."""
        batch = Batch.from_frame(frame)
        asked = [at for at, ask in enumerate(batch.asks) if ask["op"] == "recall"]
        if not asked:
            return await super().answer(frame, compiled)
        parts = [(asked, await self._recalled(batch.take(asked)))]
        if rest := [at for at, ask in enumerate(batch.asks) if ask["op"] != "recall"]:
            own = await super().answer(batch.take(rest).to_frame(), compiled)
            parts.insert(0, (rest, Prediction.from_frame(own)))
        return together(parts, len(batch)).to_frame()

    async def tidy(self) -> None:
        self._alarm_budget.holders = await self._holders.count()

    async def _recalled(self, batch: Batch) -> Prediction:
        redis, wall = self.replica.redis, self.replica.clocks.wall
        family: Any = batch.family
        return await recalled(redis, wall, family, batch.asks, (MODEL, VERSION))

    def _active(self) -> StreamsConfig | None:
        version = self.replica.config.value
        return None if version is None else version.document.streams


def _services(replica: Replica, budget: AlarmBudget) -> dict[str, KeyedService[Any]]:
    wall, monotonic = replica.clocks.wall, replica.clocks.monotonic
    handlers: dict[Any, int] = {
        regime.RegimeHandler(budget, wall): regime.MOST_STREAMS,
        points.PointHandler(budget, wall): points.MOST_STREAMS,
    }
    return {
        handler.kind: KeyedService(
            handler,
            log := KeyLog(replica.redis, handler.kind),
            monotonic,
            _limits(replica, most, 4),
            creation(replica, log, "streams"),
        )
        for handler, most in handlers.items()
    }


def _of_telemetry(replica: Replica, budget: EvenBudget) -> KeyedService[Any]:
    """Make the service of the streams that the platform begins itself: no quota counts them."""
    handler = TelemetryHandler(budget, replica.clocks.wall)
    log, most = KeyLog(replica.redis, KIND), regime.MOST_STREAMS
    # Half of the memory: all of them are used each minute, and what does not fit is read anew.
    return KeyedService(handler, log, replica.clocks.monotonic, _limits(replica, most, 2))


def _limits(replica: Replica, most: int, parts: int) -> StateCacheLimits:
    return StateCacheLimits(most_residents=most, most_bytes=bytes_for_each(replica, parts))
