"""Turns what is written to one source, samples or lines, into stored telemetry.

Entries stay in Redis until the intervals that they are part of are stored: where the store says
that the source ends is where the evaluation goes on after a restart.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from deployments.telemetry.place import SourcePlace
from features.sources.source import Complaint, Gathered, add_up

# At most: a read stops before them where entries are large.
ENTRIES = 32
PAUSE_SECONDS = 1.0


class _Arrived(Protocol):
    """An entry, and when it came."""

    @property
    def id(self) -> str: ...

    @property
    def received_ms(self) -> int: ...


ArrivedT = TypeVar("ArrivedT", bound=_Arrived)
# Of what only takes entries.
TakenT_contra = TypeVar("TakenT_contra", bound=_Arrived, contravariant=True)


class _Stream(Protocol[ArrivedT]):
    async def read(self, after: str, count: int) -> list[ArrivedT]: ...

    async def let_go(self, up_to: str) -> None: ...


class _Windows(Protocol[TakenT_contra]):
    """What may still count, and the intervals that it makes."""

    def take(self, arrived: Sequence[TakenT_contra]) -> None: ...

    def finished(self, now: float) -> Gathered: ...

    def stored(self, until: int, now: float) -> str | None: ...


class WrittenSource(Generic[ArrivedT]):
    """One source; `step` does the next piece of work and says whether there is more at once."""

    def __init__(
        self,
        cadence_seconds: int,
        stream: _Stream[ArrivedT],
        place: SourcePlace,
        make_windows: Callable[[int], _Windows[ArrivedT]],
        wall: Callable[[], float],
    ) -> None:
        """Evaluate a stream by windows that are made of where the intervals go on."""
        self.rows = 0
        self.newest: int | None = None
        self.complaints: tuple[Complaint, ...] = ()
        self._cadence = cadence_seconds
        self._stream = stream
        self._place = place
        self._make_windows = make_windows
        self._wall = wall
        self._windows: _Windows[ArrivedT] | None = None
        self._after = "0-0"

    async def step(self) -> bool:
        windows = self._windows or await self._begin()
        arrived = await self._stream.read(self._after, ENTRIES)
        if arrived:
            await asyncio.to_thread(windows.take, arrived)
            self._after = arrived[-1].id
        # While more may wait in Redis it is as late as what was read: the rest of an interval
        # follows. Only a read that gives nothing tells that nothing does: large ones give few.
        now = arrived[-1].received_ms / 1000 if arrived else self._wall()
        gathered = await asyncio.to_thread(windows.finished, now)
        if gathered.until is not None:
            await self._store(windows, gathered, gathered.until)
            return True
        return bool(arrived)

    async def _begin(self) -> _Windows[ArrivedT]:
        stretch = await self._place.stretch()
        self.newest = stretch.newest
        finished_to = 0 if stretch.newest is None else stretch.newest + self._cadence
        self._windows = self._make_windows(finished_to)
        return self._windows

    async def _store(self, windows: _Windows[ArrivedT], gathered: Gathered, until: int) -> None:
        gathered = self._place.within_limit(gathered)
        telemetry = gathered.telemetry
        if len(telemetry) or gathered.events:
            await self._place.take_in(gathered, newest=True)
        if len(telemetry):
            self.newest = int(telemetry.ts.max())
        self.rows += len(telemetry)
        self.complaints = add_up([*self.complaints, *gathered.complaints])
        if (done := windows.stored(until, self._wall())) is not None:
            await self._stream.let_go(done)
