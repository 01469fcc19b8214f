"""The forecasting deployment: looks forecasts up on a table, and turns them into plans."""

from typing import TYPE_CHECKING

from config_store.store import Version
from deployments.runtime.batch import Batch
from deployments.runtime.champions import Named
from deployments.runtime.stage import Stage
from deployments.runtime.transport.frame import Frame

if TYPE_CHECKING:
    from deployments.forecasting.service import ForecastService

LOOK_SECONDS = TIDY_SECONDS = 1.0


class Forecasting(Stage[Named]):
    async def __init__(self) -> None:  # type: ignore[misc] # Serve awaits it
        super().__init__("forecasting")
        self._service = await self._furnished(await self.replica.config_once())
        await self.open()
        self._looking = self.replica.loops.start(
            "look for forecasts", self._look, lambda: LOOK_SECONDS
        )
        self._tidying = self.replica.loops.start(
            "tidy outcomes", self._service.tidy, lambda: TIDY_SECONDS
        )

    async def _furnished(self, version: Version) -> "ForecastService":
        # The forecasters take seconds to import, which building the application need not pay.
        from deployments.forecasting.service import ForecastService  # noqa: PLC0415 - see above

        service = ForecastService(self.replica)
        await service.of(self.compile(version).alias)
        return service

    async def answer(self, frame: Frame, compiled: Named) -> Frame:
        service, alias = self._service, compiled.alias
        forecasts = service.known(alias) or await service.of(alias)
        return service.answer(Batch.from_frame(frame), forecasts).to_frame()

    def compile(self, version: Version) -> Named:
        capacity = version.document.serving.capacity
        return Named(capacity.model, capacity.alias)

    def configure(self, version: Version) -> None:
        super().configure(version)
        self._service.prefetch(self.versions.active.compiled.alias)

    async def _look(self) -> None:
        aliases = {live.compiled.alias for live in self.versions.alive()}
        await self._service.look(aliases, self.versions.active.compiled)

    async def __del__(self) -> None:
        await self.replica.loops.stop(self._looking, self._tidying)
        await self._service.close()
        await self.close()
