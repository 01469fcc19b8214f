"""The made-up platform as a source, for who has connected nothing yet."""

import asyncio

from features.calendars.days import MINUTE
from features.sources.simulator.platform import Platform
from features.sources.source import Gathered
from features.telemetry.columns import Telemetry

DEMO = "demo"
"""The name of this source; no source of a user's may bear it."""


class DemoSource:
    """Gives what the platform of one seed would have measured."""

    cadence_seconds = MINUTE
    settling_seconds = 0.0

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def range(self, start: int, stop: int) -> Gathered:
        return Gathered(await asyncio.to_thread(self._minutes, start, stop))

    async def oldest(self) -> int | None:
        return 0  # it can be made up for any day

    async def close(self) -> None:
        """Hold nothing that would have to be let go of."""

    def _minutes(self, start: int, stop: int) -> Telemetry:
        entities = self._platform.entities
        return Telemetry.concat(self._platform.minutes(each, start, stop) for each in entities)
