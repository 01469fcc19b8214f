"""Follows one source: the newest intervals first, then its past, backwards.

Nothing of this is remembered but in the store: where the newest row is, and the oldest, says where
to go on after a restart.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from deployments.telemetry.narrowing import Narrowing, gap
from deployments.telemetry.polled import Observer, PolledSource
from features.errors import SourceRefusedError
from features.sources.breaker import Breaker
from features.sources.source import Complaint, Gathered, Source, add_up
from features.telemetry.columns import Telemetry

# An interval is over when its last second is, and what measures it needs a moment.
SETTLED_SECONDS = 2
# Whoever wakes up too early by the clock's grain is not to spin.
SHORTEST_PAUSE = 0.05
# A refused source is asked again seldom: somebody has to change something first.
REFUSED_SECONDS = 60.0
# So many rows at a time keep the progress moving and the memory flat.
MOST_ROWS, FEW_ROWS = 400_000, 100_000
FIRST_CHUNK, LONGEST_CHUNK = 500, 10_000
"""In intervals."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """What the store holds of a source: its oldest and newest interval, None before the first."""

    oldest: int | None = None
    newest: int | None = None


class Place(Observer, Protocol):
    """Where rows go, and what is there already."""

    async def stretch(self) -> Stretch: ...

    async def take_in(self, gathered: Gathered, *, newest: bool) -> None:
        """Store rows; of the newest, features are made."""
        ...


Afterwards = Callable[[Source, int], Awaitable[bool]]
"""Does a piece of work with the source and its newest interval; tells whether there is more."""


class Followed(PolledSource):
    """One source; `step` does the next piece of work and says whether there is more at once."""

    def __init__(
        self,
        name: str,
        source: Source,
        place: Place,
        breaker: Breaker,
        *,
        history_days: int,
        longest_chunk: int = LONGEST_CHUNK,
        passes_over: bool = True,
        within_limit: Callable[[Gathered], Gathered] = lambda gathered: gathered,
        afterwards: Afterwards | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Follow a source; `passes_over` a piece that it refuses, if it may be asked in any order.

        One that remembers what it gave cannot be asked for a later interval to try it. Of the
        newest rows those are kept that are `within_limit`. Where nothing is left to fetch comes
        what is to be done `afterwards`.
        """
        super().__init__(breaker)
        self.name = name
        self.complaints: tuple[Complaint, ...] = ()
        self.rows = 0
        self.stretch: Stretch | None = None
        self.attempted = False
        """Whether the source was asked once, be it in vain."""
        self._source = source
        self._settled_seconds = max(SETTLED_SECONDS, source.settling_seconds)
        self._place = place
        self._history_seconds = history_days * 86_400
        self._wall = wall
        self._begins: int | None = None
        self._past_is_fetched = False
        self._chunk = FIRST_CHUNK
        self._longest_chunk = longest_chunk
        self._passes_over = passes_over
        self._within_limit = within_limit
        self._afterwards = afterwards
        self._ahead, self._back = Narrowing(), Narrowing()

    @property
    def cadence_seconds(self) -> int:
        return self._source.cadence_seconds

    @property
    def past_share(self) -> float:
        """Tell how much of the past that is wanted has been fetched."""
        if self.stretch is None or self.stretch.oldest is None or self._begins is None:
            return 0.0
        wanted = self._last_whole() - self._begins
        left = max(self.stretch.oldest - self._begins, 0)
        return 1.0 - left / wanted if wanted > 0 else 1.0

    def pause_seconds(self) -> float:
        """Rest for a while, and never past the moment at which the next interval is there."""
        if self.refused:
            return REFUSED_SECONDS
        next_one = self._last_whole() + self.cadence_seconds + self._settled_seconds
        until_then = max(next_one - self._wall(), SHORTEST_PAUSE)
        return min(self.cadence_seconds / 4, 15.0, until_then)

    async def step(self) -> bool:
        try:
            return bool(await self._attempt(self._next, self._place))
        finally:
            self.attempted = True

    async def close(self) -> None:
        await self._source.close()

    async def _next(self) -> bool:
        if self.stretch is None:
            self.stretch = await self._place.stretch()
        self._notice_a_clock_set_back(self.stretch)
        return await self._go_on() or await self._go_back() or await self._go_further()

    def _notice_a_clock_set_back(self, stretch: Stretch) -> None:
        """Go on with the last whole interval where the newest one lies in the future."""
        last = self._last_whole()
        if stretch.newest is not None and stretch.newest >= last:
            self.stretch = Stretch(stretch.oldest, last - 2 * self.cadence_seconds)

    def _last_whole(self) -> int:
        """Give the end of the last interval that is over, and that may be asked for."""
        cadence = self.cadence_seconds
        return int(self._wall() - self._settled_seconds) // cadence * cadence

    def _newest_wanted(self) -> tuple[int, int] | None:
        stop, cadence = self._last_whole(), self.cadence_seconds
        newest = None if self.stretch is None else self.stretch.newest
        start = stop - cadence if newest is None else newest + cadence
        return (start, stop) if start < stop else None

    async def _go_on(self) -> bool:
        """Fetch what has passed since the newest row; first of all the latest interval."""
        wanted = self._newest_wanted()
        if wanted is None:
            return False
        start, intervals = wanted[0], self._ahead.fit(self._chunk)
        stop = min(wanted[1], start + intervals * self.cadence_seconds)
        gathered = await self._ask(start, stop, self._ahead)
        if gathered is None:
            return True
        await self._keep(gathered, newest=True)
        # What the source has nothing of is not asked for again and again.
        settled = stop if gathered.until is None else min(stop, gathered.until)
        before = self.stretch or Stretch()
        if before.oldest is None:
            # Where the first one may still come, the past need not wait for it.
            self.stretch = Stretch(min(start, settled), settled - self.cadence_seconds)
        elif settled > start:
            self.stretch = Stretch(before.oldest, settled - self.cadence_seconds)
        return settled > start

    async def _go_back(self) -> bool:
        """Fetch a piece of the past, the newest first."""
        if self.stretch is None or self.stretch.oldest is None:
            return False
        begins = await self._wanted_beginning()
        stop = self.stretch.oldest
        self._past_is_fetched = begins is None or stop - begins < self.cadence_seconds
        if begins is None or self._past_is_fetched:
            return False
        start = max(begins, stop - self._back.fit(self._chunk) * self.cadence_seconds)
        gathered = await self._ask(start, stop, self._back)
        if gathered is None:
            return True
        await self._keep(gathered, newest=False)
        newest = self.stretch.newest
        if newest is not None and newest < stop and gathered.until is not None:
            # Nothing later is there yet: what may still come of this is the next to be asked for.
            newest = min(newest, gathered.until - self.cadence_seconds)
        self.stretch = Stretch(start, newest)
        self._fit_chunk(len(gathered.telemetry))
        # A past that is refused throughout is asked for at leisure.
        return not self._back.in_gap

    async def _go_further(self) -> bool:
        """Do a piece of what else is wanted, once all is stored up to now and of the past.

        Not before: the oldest row that is stored says how far the past was fetched.
        """
        newest = None if self.stretch is None else self.stretch.newest
        if self._afterwards is None or not self._past_is_fetched or newest is None:
            return False
        return await self._afterwards(self._source, newest)

    async def _ask(self, start: int, stop: int, narrowing: Narrowing) -> Gathered | None:
        """Ask for a piece; None where it was refused, and a smaller one is to be asked for."""
        intervals = (stop - start) // self.cadence_seconds
        try:
            gathered = await self._source.range(start, stop)
        except SourceRefusedError as refusal:
            if not self._passes_over:
                raise
            if intervals > 1:
                narrowing.halve(intervals)
                return None
            if not narrowing.is_certain(start) or not await self._answers_after(start):
                raise
            narrowing.pass_over()
            return Gathered(Telemetry.empty(), (gap(start, refusal),))
        narrowing.answered(intervals, self._chunk)
        return gathered

    async def _answers_after(self, start: int) -> bool:
        """Tell whether the source answers for the latest interval, if that is another one.

        What it gives then is not kept: what lies in front of it is to be stored first.
        """
        stop = self._last_whole()
        if stop - self.cadence_seconds <= start:
            return False
        try:
            await self._source.range(stop - self.cadence_seconds, stop)
        except SourceRefusedError:
            return False
        return True

    async def _wanted_beginning(self) -> int | None:
        if self._begins is None:
            oldest = await self._source.oldest()
            if oldest is None:
                return None
            begins = max(oldest, int(self._wall()) - self._history_seconds)
            self._begins = -(-begins // self.cadence_seconds) * self.cadence_seconds
        return self._begins

    async def _keep(self, gathered: Gathered, *, newest: bool) -> None:
        if newest:  # the names of the past cost no memory, and are not to fill the limit
            gathered = self._within_limit(gathered)
        if len(gathered.telemetry) or gathered.events:
            await self._place.take_in(gathered, newest=newest)
        self.rows += len(gathered.telemetry)
        self.complaints = add_up([*self.complaints, *gathered.complaints])

    def _fit_chunk(self, rows: int) -> None:
        if rows > MOST_ROWS:
            self._chunk = max(self._chunk // 2, 1)
        elif rows < FEW_ROWS:
            self._chunk = min(self._chunk * 4, self._longest_chunk)
