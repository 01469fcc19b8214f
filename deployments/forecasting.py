"""The forecasting deployment: looks forecasts up on its board, and turns them into plans."""

from typing import TYPE_CHECKING

from ray import serve

from config_store.store import Version
from deployments.batch import Batch
from deployments.stage import Stage
from deployments.wire.frame import Frame

if TYPE_CHECKING:
    from deployments.forecasts.office import Office

LOOK_SECONDS = 1.0


@serve.deployment(name="forecasting")
class Forecasting(Stage):
    async def __init__(self) -> None:  # type: ignore[misc] # Serve awaits it
        super().__init__("forecasting")
        self._office = await self._furnished(await self.replica.config_once())
        await self.open()
        self._looking = self.replica.loops.start(
            "look for forecasts", self._office.look, lambda: LOOK_SECONDS
        )

    async def _furnished(self, version: Version) -> "Office":
        # The forecasters take seconds to import, which building the application need not pay.
        from deployments.forecasts.office import Office  # noqa: PLC0415 - see above

        serving = version.document.serving["capacity"]
        office = Office(self.replica, serving.model, serving.alias)
        await office.open()
        return office

    async def answer(self, frame: Frame) -> Frame:
        return self._office.answer(Batch.from_frame(frame)).to_frame()

    def configure(self, version: Version) -> None:
        serving = version.document.serving["capacity"]
        self._office.model = serving.model
        self._office.shelf.alias = serving.alias

    async def __del__(self) -> None:
        await self.replica.loops.stop(self._looking)
        await self._office.close()
        await self.close()
