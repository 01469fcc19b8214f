"""The forecasting deployment: plans from a table of hours, and any series as it is asked for."""

import asyncio
import time

from config_store.store import Version
from deployments.api.forecast import FORECAST
from deployments.forecasting.loaded_models import chosen_by
from deployments.forecasting.series.answering import warm
from deployments.forecasting.series.forecasting import SeriesForecasting, wanted_of
from deployments.forecasting.series.metrics import MetricHistories
from deployments.forecasting.service import ForecastService, Plans
from deployments.runtime.batch import Batch
from deployments.runtime.helper.process import HelperProcess
from deployments.runtime.replica import Replica
from deployments.runtime.stage import Stage
from deployments.runtime.transport.frame import Frame
from deployments.runtime.version import VERSION
from models.errors import UnknownModelError
from observability.background import BackgroundLoop

LOOK_SECONDS = TIDY_SECONDS = 1.0


class Forecasting(Stage[Plans]):
    def __init__(self, replica: Replica) -> None:
        super().__init__(replica)
        self._service = ForecastService(replica)
        self._series = SeriesForecasting(HelperProcess(), replica.clocks.wall)
        self._metrics = MetricHistories(replica.clocks.monotonic)

    async def prepare(self) -> None:
        """Make the forecasts that the active version names, and have those of series compiled."""
        await asyncio.to_thread(warm)
        await self._service.of(self.compile(await self.replica.config_once()).chosen)

    async def answer(self, frame: Frame, compiled: Plans) -> Frame:
        if frame.head["family"] == FORECAST.name:
            return await self._forecast(Batch.from_frame(frame))
        service, chosen = self._service, compiled.chosen
        forecasts = service.known(chosen) or await service.of(chosen)
        return service.answer(Batch.from_frame(frame), forecasts).to_frame()

    async def _forecast(self, batch: Batch) -> Frame:
        named = [each for each in wanted_of(batch) if each is not None]
        histories = await self._metrics.get(named) if named else {}
        started = time.perf_counter()
        prediction = await self._series.answer(batch, histories, VERSION)
        self.replica.metrics.inferred(prediction.model, time.perf_counter() - started)
        return prediction.to_frame()

    def compile(self, version: Version) -> Plans:
        return Plans(version.document.serving.capacity.model, chosen_by(version.document))

    def configure(self, version: Version) -> None:
        super().configure(version)
        self._service.prefetch(self.versions.active.compiled.chosen)

    async def make_ready(self, compiled: Plans) -> None:
        """Make its table; a pin that cannot be loaded is not ready, though plans do without."""
        forecasts = await self._service.of(compiled.chosen)
        if lacking := forecasts.models.lacking():
            raise UnknownModelError(f"{', '.join(lacking)}: pinned, and cannot be loaded")

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
        choices = {live.compiled.chosen for live in self.versions.alive()}
        await self._service.look(choices, self.versions.active.compiled)
