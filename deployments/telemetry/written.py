"""Turns the samples of one remote-write source into stored telemetry.

Entries stay in Redis until the intervals that they are part of are stored: where the store says
that the source ends is where the evaluation goes on after a restart.
"""

import asyncio
from collections.abc import Callable, Sequence

from config_store.sources import RemoteWriteSource
from deployments.telemetry.place import SourcePlace
from features.sources.remote_write.editions import EDITIONS
from features.sources.remote_write.stream import Arrived, SampleStream
from features.sources.remote_write.windows import Windows
from features.sources.source import Complaint, Gathered, add_up

# At most: a read stops before them where entries are large.
ENTRIES = 32
PAUSE_SECONDS = 1.0


class WrittenSource:
    """One source; `step` does the next piece of work and says whether there is more at once."""

    def __init__(
        self,
        name: str,
        config: RemoteWriteSource,
        stream: SampleStream,
        place: SourcePlace,
        wall: Callable[[], float],
    ) -> None:
        self.name = name
        self.rows = 0
        self.newest: int | None = None
        self.complaints: tuple[Complaint, ...] = ()
        self._config = config
        self._stream = stream
        self._place = place
        self._wall = wall
        self._windows: Windows | None = None
        self._after = "0-0"

    async def step(self) -> bool:
        windows = self._windows or await self._begin()
        arrived = await self._stream.read(self._after, ENTRIES)
        if arrived:
            await asyncio.to_thread(_add, windows, arrived)
            self._after = arrived[-1].id
        # While more may wait in Redis it is as late as what was read: the rest of an interval
        # follows. Only a read that gives nothing tells that nothing does: large ones give few.
        now = arrived[-1].received_ms / 1000 if arrived else self._wall()
        gathered = await asyncio.to_thread(windows.finished, now)
        if gathered.until is not None:
            await self._store(windows, gathered, gathered.until)
            return True
        return bool(arrived)

    async def _begin(self) -> Windows:
        cadence = self._config.cadence_seconds
        stretch = await self._place.stretch()
        self.newest = stretch.newest
        self._windows = Windows(
            self._config.mapping,
            cadence,
            edition=EDITIONS[self._config.prometheus],
            finished_to=0 if stretch.newest is None else stretch.newest + cadence,
        )
        return self._windows

    async def _store(self, windows: Windows, gathered: Gathered, until: int) -> None:
        telemetry = gathered.telemetry
        if len(telemetry):
            await self._place.take_in(gathered, newest=True)
            self.newest = int(telemetry.ts.max())
        self.rows += len(telemetry)
        self.complaints = add_up([*self.complaints, *gathered.complaints])
        if (done := windows.stored(until, self._wall())) is not None:
            await self._stream.let_go(done)


def _add(windows: Windows, arrived: Sequence[Arrived]) -> None:
    for each in arrived:
        windows.add(each.id, each.samples, each.received_ms)
