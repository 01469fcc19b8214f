"""The anomaly deployment: follows streams, each of which lives on one replica and in Redis."""

import asyncio
import logging
from typing import Any

from config_store.document import StreamsConfig
from config_store.store import Version
from deployments.anomaly.alarm_budget import AlarmBudget
from deployments.anomaly.holders import Holders
from deployments.runtime.state.log import KeyLog
from deployments.runtime.state.service import KeyedService
from deployments.runtime.state.shelf import ShelfLimits
from deployments.runtime.state.stage import KeyedStage
from deployments.runtime.version import VERSION

MODELS = {"regime": "anomaly/bocpd", "anomaly": "anomaly/forest"}

log = logging.getLogger(__name__)


class Anomaly(KeyedStage[StreamsConfig]):
    async def __init__(self) -> None:  # type: ignore[misc] # Serve awaits it
        super().__init__("anomaly")
        clock = self.replica.clocks.wall
        self._alarm_budget = AlarmBudget(clock())
        self._holders = Holders(self.replica.redis, clock)
        await asyncio.to_thread(_warm)
        await self.open()

    def services(self) -> dict[str, KeyedService[Any]]:
        clock = self.replica.clocks.wall
        # The detectors take seconds to import, which building the application need not pay.
        from deployments.anomaly import points, regime  # noqa: PLC0415 - see above

        redis, monotonic = self.replica.redis, self.replica.clocks.monotonic
        keepers: dict[Any, int] = {
            regime.RegimeKeeper(self._alarm_budget, clock): regime.MOST_STREAMS,
            points.PointKeeper(self._alarm_budget, clock): points.MOST_STREAMS,
        }
        return {
            keeper.kind: KeyedService(
                keeper,
                log := KeyLog(redis, keeper.kind),
                monotonic,
                ShelfLimits(most_residents=most, most_bytes=self.bytes_for_each(2)),
                self.creation(log, "streams"),
            )
            for keeper, most in keepers.items()
        }

    def model_of(self, family: str) -> tuple[str, str]:
        return MODELS[family], VERSION

    def compile(self, version: Version) -> StreamsConfig:
        return version.document.streams

    async def tidy(self) -> None:
        self._alarm_budget.holders = await self._holders.count()

    async def __del__(self) -> None:
        await self.close()


def _warm() -> None:
    """Compile the kernels: once on a machine, after that they are read from their files."""
    from deployments.anomaly.warm import warm  # noqa: PLC0415 - heavy, as above

    warm()
