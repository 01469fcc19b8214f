"""The anomaly deployment: follows streams, each of which lives on one replica and in Redis."""

import asyncio
from typing import Any

from config_store.document import StreamsConfig
from config_store.store import Version
from deployments.anomaly import points, regime
from deployments.anomaly.alarm_budget import AlarmBudget
from deployments.anomaly.holders import Holders
from deployments.anomaly.warm import warm
from deployments.runtime.replica import Replica
from deployments.runtime.state.cache import StateCacheLimits
from deployments.runtime.state.log import KeyLog
from deployments.runtime.state.service import KeyedService
from deployments.runtime.state.stage import KeyedStage, bytes_for_each, creation
from deployments.runtime.version import VERSION

MODELS = {"regime": "anomaly/bocpd", "anomaly": "anomaly/forest"}


class Anomaly(KeyedStage[StreamsConfig]):
    def __init__(self, replica: Replica) -> None:
        clock = replica.clocks.wall
        self._alarm_budget = AlarmBudget(clock())
        self._holders = Holders(replica.redis, clock)
        super().__init__(replica, _services(replica, self._alarm_budget))

    async def prepare(self) -> None:
        """Compile the kernels: once on a machine, after that they are read from their files."""
        await asyncio.to_thread(warm)

    def model_of(self, family: str) -> tuple[str, str]:
        return MODELS[family], VERSION

    def compile(self, version: Version) -> StreamsConfig:
        return version.document.streams

    async def tidy(self) -> None:
        self._alarm_budget.holders = await self._holders.count()


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
            StateCacheLimits(most_residents=most, most_bytes=bytes_for_each(replica, 2)),
            creation(replica, log, "streams"),
        )
        for handler, most in handlers.items()
    }
