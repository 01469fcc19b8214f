"""The states that a replica has in memory: fetched when asked for, put away when idle.

A state is built aside, from its snapshot and from what its log tells since, and enters memory when
all of it was read. One that cannot be read stays out: its key's rows are refused, its log and its
snapshot are left as they are, and its neighbours know nothing of it.
"""

import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Generic

from redis.exceptions import ResponseError

from deployments.runtime.state.building import Unreadable, build, let_go
from deployments.runtime.state.entries import Append, Saved
from deployments.runtime.state.handler import State, StateHandler
from deployments.runtime.state.log import KeyLog
from deployments.runtime.state.position import Position
from models.memory import trim_heap
from settings.redis_connection import REDIS_AWAY

# By its id a row that is sent again is known. A gateway sends again within a second. The front does
# once it hears that a gateway died, which may have hung for the 60 s that it waits for an answer.
KNOWN_SECONDS = 75.0
# Beside its state, and for each row that it knows.
RESIDENT_BYTES, KNOWN_BYTES = 1_000, 150
# A log as short as this is replayed as quickly as a snapshot is read, and takes less of Redis.
SHORT_LOG_ENTRIES, SHORT_LOG_BYTES = 32, 4_096
# How many keys that cannot be read are remembered, so that each is logged once and not every time.
REPORTED_KEYS = 1_000

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Resident(Generic[State]):
    """One key's state as of its latest entry."""

    key: str
    state: State
    number: int
    # The latest entry's (see position.py).
    mark: str
    saved_number: int
    used: float
    unsaved_bytes: int = 0
    snapshot_bytes: int = 0
    # Rows taken of late, in their order; None takes less memory than an empty one.
    ids: dict[str, None] | None = None
    # Nothing was written since the key was deleted, or ever: the next entry begins it.
    empty: bool = False
    # What it takes in memory, as of its latest entry.
    size: int = 0

    @property
    def position(self) -> Position:
        return Position(self.number, self.mark)

    @property
    def unsaved(self) -> int:
        return self.number - self.saved_number

    def knows(self, row: str) -> bool:
        return self.ids is not None and row in self.ids

    def know(self, rows: Iterable[str]) -> None:
        if self.ids is None:
            self.ids = {}
        self.ids.update(dict.fromkeys(rows))

    def forget(self, rows: Iterable[str]) -> None:
        for row in rows:
            if self.ids is not None:
                self.ids.pop(row, None)
        self.ids = self.ids or None


@dataclass(frozen=True, slots=True)
class HeldStates(Generic[State]):
    """What there is of the keys that were asked for; each is in one of the two."""

    residents: dict[str, Resident[State]]
    unreadable: dict[str, Unreadable]


@dataclass(frozen=True, slots=True)
class StateCacheLimits:
    """A snapshot is due after so many entries, or when the log outweighs the last one."""

    snapshot_after_entries: int = 256
    least_log_bytes: int = 32_768
    """A log under this outweighs nothing."""
    idle_seconds: float = 900.0
    most_residents: int = 100_000
    """Beyond it those that were idle longest leave memory first, before anything is answered."""
    most_bytes: int = 256 * 1024 * 1024
    """The same, by what their handler estimates that they take."""
    most_saves_a_round: int = 64


USUAL = StateCacheLimits()


class StateCache(Generic[State]):
    """Not for use by two tasks at once: who uses it holds the replica's lock."""

    def __init__(
        self,
        handler: StateHandler[State],
        log_: KeyLog,
        clock: Callable[[], float],
        limits: StateCacheLimits = USUAL,
    ) -> None:
        self._handler = handler
        self._log = log_
        self._clock = clock
        self._limits = limits
        self._residents: OrderedDict[str, Resident[State]] = OrderedDict()
        # Those whose logs have grown long; going through all to find them would take too long.
        self._long: dict[str, None] = {}
        # Which rows each resident got to know, and when.
        self._known: deque[tuple[float, str, list[str]]] = deque()
        self.bytes = 0
        self.evicted = 0
        self._given_back = 0
        # Keys that could not be read, by the entry at which that was logged.
        self._reported: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._residents)

    def is_empty(self, key: str) -> bool | None:
        """Tell whether the next entry begins this key; None where it is not in memory."""
        resident = self._residents.get(key)
        return None if resident is None else resident.empty

    async def hold(self, keys: Sequence[str]) -> HeldStates[State]:
        """Give the residents of these keys, fetching those that are not in memory."""
        # What was not there may have begun elsewhere, and nobody is to begin it a second time.
        absent = [key for key in dict.fromkeys(keys) if self.is_empty(key) in (None, True)]
        found = await self._log.read(absent)
        for key in absent:
            self.drop(key)
        unreadable = self._fetch(dict(zip(absent, found, strict=True)))
        now = self._clock()
        held: HeldStates[State] = HeldStates({}, unreadable)
        for key in dict.fromkeys(key for key in keys if key not in unreadable):
            resident = held.residents[key] = self._residents[key]
            resident.used = now
            self._residents.move_to_end(key)
        return held

    def _fetch(self, found: dict[str, Saved]) -> dict[str, Unreadable]:
        """Take into memory what can be read of these, and give what cannot."""
        states, unreadable = build(self._handler, found)
        for key, state in states.items():
            saved = found[key]
            resident = self._residents[key] = Resident(
                key, state, saved.number, saved.mark, saved.number - len(saved.tail), 0.0,
                unsaved_bytes=saved.tail_bytes, snapshot_bytes=len(saved.state or b""),
                empty=saved.empty,
            )  # fmt: skip
            self._know(resident, [*saved.seen, *(row for each in saved.tail for row in each.ids)])
            self._measure(resident)
        for key, each in unreadable.items():
            self._report(key, each)
        return unreadable

    def _report(self, key: str, unreadable: Unreadable) -> None:
        if self._reported.get(key) == unreadable.number:
            return
        if len(self._reported) >= REPORTED_KEYS:
            self._reported.clear()
        self._reported[key] = unreadable.number
        log.error(
            "The state of %s %r cannot be read at entry %d: its rows are refused, and "
            "its log and snapshot stay unchanged",
            self._handler.kind,
            key,
            unreadable.number,
            exc_info=unreadable.why,
        )

    def _know(self, resident: Resident[State], rows: list[str]) -> None:
        if rows:
            resident.know(rows)
            self._known.append((self._clock(), resident.key, rows))

    def wrote(self, resident: Resident[State], append: Append) -> None:
        """Note what was appended to a resident's log."""
        resident.number, resident.mark, resident.empty = append.number, append.mark, False
        resident.unsaved_bytes += len(append.events)
        self._know(resident, append.rows)
        self._measure(resident)
        limits = self._limits
        heavy = resident.unsaved_bytes > max(limits.least_log_bytes, resident.snapshot_bytes)
        if heavy or resident.unsaved >= limits.snapshot_after_entries:
            self._long[resident.key] = None

    def drop(self, key: str) -> None:
        """Let go of a state that may differ from its log; the next ask fetches it anew."""
        self._long.pop(key, None)
        resident = self._residents.pop(key, None)
        if resident is not None:
            self.bytes -= resident.size
            let_go(self._handler, resident.state)

    async def tidy(self) -> None:
        """Save what has grown long, and put away what is idle; a bounded number at a time.

        What Redis refuses to save keeps nothing else waiting; the first such error is raised then.
        """
        limits, now = self._limits, self._clock()
        while self._known and self._known[0][0] < now - KNOWN_SECONDS:
            _, key, rows = self._known.popleft()
            if (known := self._residents.get(key)) is not None:
                known.forget(rows)
        refused = list[ResponseError]()
        for key in list(islice(self._long, limits.most_saves_a_round)):
            self._long[key] = self._long.pop(key)  # where it fails, the others have their turn
            try:
                await self._save(self._residents[key])
            except ResponseError as why:
                refused.append(why)
            else:
                self._long.pop(key, None)
        for resident in self._idle(now):
            await self._put_away(resident)
        await self.make_room(())
        if self.evicted > self._given_back:
            self._given_back = self.evicted
            self._handler.give_back()
            trim_heap()
        if refused:
            raise refused[0]

    async def make_room(self, keep: Iterable[str]) -> None:
        """Put away those idle longest until the others fit; those to keep stay in any case."""
        limits, kept = self._limits, set(keep)
        size, count, leaving = self.bytes, len(self._residents), list[Resident[State]]()
        for key, resident in self._residents.items():
            if size <= limits.most_bytes and count <= limits.most_residents:
                break
            if key not in kept:
                leaving.append(resident)
                size, count = size - resident.size, count - 1
        for resident in leaving:
            await self._put_away(resident)

    async def _put_away(self, resident: Resident[State]) -> None:
        """Let a state leave memory; Redis has all of it, if need be with a snapshot."""
        if resident.unsaved > SHORT_LOG_ENTRIES or resident.unsaved_bytes > SHORT_LOG_BYTES:
            with suppress(*REDIS_AWAY):  # the log alone will do
                await self._save(resident)
        self.drop(resident.key)
        self.evicted += 1

    def _measure(self, resident: Resident[State]) -> None:
        known = KNOWN_BYTES * len(resident.ids or ())
        size = RESIDENT_BYTES + known + self._handler.size(resident.state)
        self.bytes += size - resident.size
        resident.size = size

    def _idle(self, now: float) -> list[Resident[State]]:
        limits = self._limits
        longest_idle = islice(self._residents.values(), limits.most_saves_a_round)
        return [each for each in longest_idle if now - each.used > limits.idle_seconds]

    async def put_away(self) -> None:
        """Save everything: a replica that ends in peace leaves no log to replay."""
        for resident in list(self._residents.values()):
            try:
                await self._save(resident)
            except ResponseError as why:
                kind, key = self._handler.kind, resident.key
                log.warning("Redis refused the snapshot of %s %r: %s", kind, key, why)

    async def _save(self, resident: Resident[State]) -> None:
        """Write a snapshot; a state that cannot be put into one stays as its log tells it."""
        if not resident.unsaved:
            return
        key, ids = resident.key, list(resident.ids or ())
        try:
            state = self._handler.encode(resident.state)
        except Exception:
            log.exception("A snapshot of %s %r could not be written", self._handler.kind, key)
            return
        if await self._log.save(key, resident.number, state, ids, resident.mark):
            resident.saved_number = resident.number
            resident.unsaved_bytes, resident.snapshot_bytes = 0, len(state)
        else:
            self.drop(key)  # somebody else holds it, it was deleted, or Redis forgot a part
