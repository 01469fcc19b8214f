"""The forecasting deployment: plans from a table of hours, and any series as it is asked for."""

import asyncio
import time

from config_store.store import Version
from deployments.api.forecast import FORECAST
from deployments.forecasting.series.answering import warm
from deployments.forecasting.series.forecasting import SeriesForecasting, wanted_of
from deployments.forecasting.series.metrics import MetricHistories
from deployments.forecasting.service import ForecastService
from deployments.runtime.batch import Batch
from deployments.runtime.champions import NamedModel
from deployments.runtime.helper.process import HelperProcess
from deployments.runtime.replica import Replica
from deployments.runtime.stage import Stage
from deployments.runtime.transport.frame import Frame
from deployments.runtime.version import VERSION
from observability.background import BackgroundLoop

LOOK_SECONDS = TIDY_SECONDS = 1.0


class Forecasting(Stage[NamedModel]):
    def __init__(self, replica: Replica) -> None:
        super().__init__(replica)
        self._service = ForecastService(replica)
        self._series = SeriesForecasting(HelperProcess(), replica.clocks.wall)
        self._metrics = MetricHistories(replica.clocks.monotonic)

    async def prepare(self) -> None:
        """Make the forecasts that the active version names, and have those of series compiled."""
        await asyncio.to_thread(warm)
        await self._service.of(self.compile(await self.replica.config_once()).alias)

    async def answer(self, frame: Frame, compiled: NamedModel) -> Frame:
        if frame.head["family"] == FORECAST.name:
            return await self._forecast(Batch.from_frame(frame))
        service, alias = self._service, compiled.alias
        forecasts = service.known(alias) or await service.of(alias)
        return service.answer(Batch.from_frame(frame), forecasts).to_frame()

    async def _forecast(self, batch: Batch) -> Frame:
        named = [each for each in wanted_of(batch) if each is not None]
        histories = await self._metrics.get(named) if named else {}
        started = time.perf_counter()
        prediction = await self._series.answer(batch, histories, VERSION)
        self.replica.metrics.inferred(prediction.model, time.perf_counter() - started)
        return prediction.to_frame()

    def compile(self, version: Version) -> NamedModel:
        capacity = version.document.serving.capacity
        return NamedModel(capacity.model, capacity.alias)

    def configure(self, version: Version) -> None:
        super().configure(version)
        self._service.prefetch(self.versions.active.compiled.alias)

    async def make_ready(self, compiled: NamedModel) -> None:
        await self._service.of(compiled.alias)

    def start_work(self) -> list[BackgroundLoop]:
        loops = self.replica.loops
        return [
            loops.start("look for forecasts", self._look, lambda: LOOK_SECONDS),
            loops.start("tidy outcomes", self._service.tidy, lambda: TIDY_SECONDS),
        ]

    async def close(self) -> None:
        await self._series.close()
        await self._service.close()

    async def _look(self) -> None:
        aliases = {live.compiled.alias for live in self.versions.alive()}
        await self._service.look(aliases, self.versions.active.compiled)
