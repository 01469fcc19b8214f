"""Stores what clients posted, in the order in which the platform learned of it."""

from collections.abc import Callable

from config_store.sources import SourcesConfig
from deployments.telemetry.ownership import Ownership
from deployments.telemetry.place import SourcePlace
from features.sources.source import Complaint, Gathered, add_up
from features.telemetry.intake import Intake, Waiting
from observability.errors import QueryRejectedError

# At once: an entry is at most 2,048 rows, and the store takes many rows as fast as few.
ENTRIES = 50

MakePlace = Callable[[str, int], SourcePlace]


class Posted:
    """What came in by one push source since the platform started."""

    def __init__(self) -> None:
        self.rows = 0
        self.newest: int | None = None
        self.complaints: tuple[Complaint, ...] = ()


class IntakeDrain:
    """Moves entries from Redis into the column store; one that is killed stores them again."""

    def __init__(
        self,
        intake: Intake,
        make_place: MakePlace,
        config: Callable[[], SourcesConfig | None],
        ownership: Ownership,
    ) -> None:
        self._intake = intake
        self._make_place = make_place
        self._config = config
        self._ownership = ownership
        self._places: dict[str, SourcePlace] = {}
        self._stored = 0
        # By entry: how many were stored when the store first refused it.
        self._failed_after: dict[str, int] = {}
        # Behind which to read on, where all in front of it were refused.
        self._after: str | None = None
        self.by_source: dict[str, Posted] = {}

    async def step(self) -> bool:
        """Store the oldest entries; says whether there is more to do at once."""
        waiting = await self._intake.read(ENTRIES, self._after)
        before, refusals = self._stored, []
        for each in waiting:
            try:
                await self._store(each)
            except QueryRejectedError as refusal:
                if not await self._is_at_fault(each, refusal):
                    refusals.append(refusal)
        begun, self._after = self._after, None  # the next round begins with the oldest again
        if refusals and self._stored == before:
            # Those behind them tell whether it is the store that refuses, or something is wrong
            # with the entries.
            self._after = waiting[-1].id if len(waiting) == ENTRIES else None
            raise refusals[0]
        return len(waiting) == ENTRIES or begun is not None

    async def _is_at_fault(self, entry: Waiting, refusal: QueryRejectedError) -> bool:
        """Set an entry aside that failed again although another was stored since.

        The store refuses entries also where it has no room; who failed then is no worse than those
        that did not, and is stored once there is room.
        """
        if self._stored <= self._failed_after.setdefault(entry.id, self._stored):
            return False
        del self._failed_after[entry.id]
        await self._intake.refuse(entry, f"the store refuses it: {refusal}")
        return True

    async def _store(self, entry: Waiting) -> None:
        place = await self._place(entry.source)
        gathered = place.within_limit(await self._ownership.keep(entry.source, entry.gathered))
        await place.take_in(gathered, newest=True, known_ms=entry.known_ms)
        self._stored += 1
        self._failed_after.pop(entry.id, None)
        self._count(entry.source, gathered)
        await self._intake.done([entry])

    async def _place(self, source: str) -> SourcePlace:
        cadence = self._cadence(source)
        place = self._places.get(source)
        if place is None or place.cadence_seconds != cadence:
            place = self._make_place(source, cadence)
            stretch = await place.stretch()
            posted = self.by_source.setdefault(source, Posted())
            posted.newest = stretch.newest
            self._places[source] = place
        return place

    def _cadence(self, source: str) -> int:
        config = self._config()
        named = None if config is None else config.named.get(source)
        return 60 if named is None else named.cadence_seconds

    def _count(self, source: str, gathered: Gathered) -> None:
        posted = self.by_source[source]
        telemetry = gathered.telemetry
        posted.rows += len(telemetry)
        posted.complaints = add_up([*posted.complaints, *gathered.complaints])
        if len(telemetry):
            newest = int(telemetry.ts.max())
            posted.newest = newest if posted.newest is None else max(posted.newest, newest)
