"""The states that a replica has in memory: fetched when asked for, put away when idle."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Generic

from deployments.keyed.keeper import Keeper, State
from deployments.keyed.log import Entry, KeyLog, Saved

# By their ids rows that are sent again are known; a gateway sends again within a second.
KNOWN_IDS = 512


@dataclass(slots=True)
class Resident(Generic[State]):
    """One key's state as of its latest entry."""

    key: str
    state: State
    number: int
    saved_number: int
    used: float
    ids: OrderedDict[str, None] = field(default_factory=OrderedDict)

    def wrote(self, entry: Entry) -> None:
        self.number += 1
        self.know(entry.ids)

    def know(self, ids: Sequence[str]) -> None:
        for each in ids:
            self.ids[each] = None
        while len(self.ids) > KNOWN_IDS:
            self.ids.popitem(last=False)

    @property
    def unsaved(self) -> int:
        return self.number - self.saved_number


@dataclass(frozen=True, slots=True)
class ShelfLimits:
    snapshot_after_entries: int = 256
    idle_seconds: float = 900.0
    most_residents: int = 100_000
    """Beyond it those that were idle longest leave memory first."""
    most_saves_a_round: int = 64


USUAL = ShelfLimits()


class Shelf(Generic[State]):
    """Not for use by two tasks at once: who uses it holds the replica's lock."""

    def __init__(
        self,
        keeper: Keeper[State],
        log_: KeyLog,
        clock: Callable[[], float],
        limits: ShelfLimits = USUAL,
    ) -> None:
        self._keeper = keeper
        self._log = log_
        self._clock = clock
        self._limits = limits
        self._residents: OrderedDict[str, Resident[State]] = OrderedDict()
        # Those whose logs have grown long; going through all to find them would take too long.
        self._long: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._residents)

    async def hold(self, keys: Sequence[str]) -> dict[str, Resident[State]]:
        """Give the residents of these keys, fetching those that are not in memory."""
        absent = [key for key in dict.fromkeys(keys) if key not in self._residents]
        self._fetch(dict(zip(absent, await self._log.read(absent), strict=True)))
        now = self._clock()
        held = {}
        for key in dict.fromkeys(keys):
            resident = held[key] = self._residents[key]
            resident.used = now
            self._residents.move_to_end(key)
        return held

    def _fetch(self, found: dict[str, Saved]) -> None:
        tails: list[tuple[State, list[Any]]] = []
        for key, saved in found.items():
            resident = self._residents[key] = self._resident(key, saved)
            if saved.tail:
                events = [event for entry in saved.tail for event in entry.events]
                tails.append((resident.state, events))
        if tails:
            self._keeper.replay(tails)

    def _resident(self, key: str, saved: Saved) -> Resident[State]:
        keeper = self._keeper
        state = keeper.fresh(key) if saved.state is None else keeper.decode(key, saved.state)
        resident = Resident(key, state, saved.number, saved.number - len(saved.tail), 0.0)
        resident.know(saved.seen)
        for entry in saved.tail:
            resident.know(entry.ids)
        return resident

    def wrote(self, resident: Resident[State], entry: Entry) -> None:
        """Note what was appended to a resident's log."""
        resident.wrote(entry)
        if resident.unsaved >= self._limits.snapshot_after_entries:
            self._long[resident.key] = None

    def drop(self, key: str) -> None:
        """Let go of a state that may differ from its log; the next ask fetches it anew."""
        self._long.pop(key, None)
        resident = self._residents.pop(key, None)
        if resident is not None:
            self._keeper.release(resident.state)

    async def tidy(self) -> None:
        """Save what has grown long, and put away what is idle; a bounded number at a time."""
        limits, now = self._limits, self._clock()
        for key in list(islice(self._long, limits.most_saves_a_round)):
            await self._save(self._residents[key])
            self._long.pop(key, None)
        for resident in self._leaving(now):
            await self._save(resident)
            self.drop(resident.key)

    def _leaving(self, now: float) -> list[Resident[State]]:
        limits = self._limits
        over = len(self._residents) - limits.most_residents
        longest_idle = list(islice(self._residents.values(), limits.most_saves_a_round))
        return [
            each
            for at, each in enumerate(longest_idle)
            if at < over or now - each.used > limits.idle_seconds
        ]

    async def put_away(self) -> None:
        """Save everything: a replica that ends in peace leaves no log to replay."""
        for resident in self._residents.values():
            await self._save(resident)

    async def _save(self, resident: Resident[State]) -> None:
        if resident.unsaved:
            state = self._keeper.encode(resident.state)
            await self._log.save(resident.key, resident.number, state)
            resident.saved_number = resident.number
