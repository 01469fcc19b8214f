"""Answers batches of a family with state: written down in Redis before anything is said."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Generic

from redis.exceptions import RedisError

from deployments.batch import Batch, Owner, Prediction
from deployments.keyed.building import Unreadable
from deployments.keyed.creation import Creation
from deployments.keyed.keeper import Asked, Keeper, Reply, State
from deployments.keyed.log import Append, Entry, KeyLog, Place
from deployments.keyed.replies import failed, prediction_of, unreadable_refusal
from deployments.keyed.shelf import USUAL, Resident, Shelf, ShelfLimits
from deployments.keyed.tags import BARE, tag
from deployments.wire.call import GivenUpError, given_up, given_up_for_good

log = logging.getLogger(__name__)

AWAY = (RedisError, OSError, TimeoutError)
# A key whose log somebody else wrote to meanwhile is fetched anew and asked once more; twice in a
# row means that replicas come and go just now, and the client had better wait.
TRIES = 3
CLEAR_EVERY_SECONDS = 60.0
CLEARED_AT_ONCE = 64

Rows = list[tuple[int, Asked]]


class KeyedService(Generic[State]):
    """One family's states on one replica."""

    def __init__(
        self,
        keeper: Keeper[State],
        log_: KeyLog,
        clock: Callable[[], float],
        limits: ShelfLimits = USUAL,
        creation: Creation | None = None,
    ) -> None:
        """Without `creation` any key may begin at any time."""
        self.keeper = keeper
        self._log = log_
        self._creation = creation
        self.shelf = Shelf(keeper, log_, clock, limits)
        # Batches follow each other: a state may be asked only when what it was asked before is
        # written down, and every batch shares one write anyway.
        self._turn = asyncio.Lock()
        self._by_tag: dict[str, str] = {}
        self._clock = clock
        self._cleared = clock()

    async def answer(
        self, batch: Batch, model: str, version: str, settings: Any = None
    ) -> Prediction:
        """Answer each row by its key's state and by these settings, of the batch's version."""
        keys = await self._named(batch.keys)
        owners = batch.owners or [None] * len(keys)
        rows_asked = zip(keys, batch.ids, batch.asks, owners, strict=True)
        asked = [Asked(*each, settings) for each in rows_asked]
        replies: list[Reply | None] = [None] * len(asked)
        rows = list(enumerate(asked))
        async with self._turn:
            try:
                rows = await self._rounds(rows, replies)
            finally:  # also where it ends between two rounds
                if given_up_for_good():
                    await self._withdraw(asked, replies)
        for at, each in rows:
            replies[at] = self._away(each)
        return prediction_of(replies, self.keeper.columns, model, version)

    async def _rounds(self, rows: Rows, replies: list[Reply | None]) -> Rows:
        """Answer the rows, in as many rounds as it takes; give those that kept moving on."""
        tries = TRIES
        while rows and tries:
            due, later = self._until_deletion(rows)
            lost = await self._try(due, replies)
            tries -= bool(lost)
            rows = sorted(lost + later, key=lambda row: row[0])
        return rows

    async def tidy(self) -> None:
        async with self._turn:
            await self.shelf.tidy()
        if self._clock() - self._cleared > CLEAR_EVERY_SECONDS:
            self._cleared = self._clock()
            await self._log.clear_deleted(CLEARED_AT_ONCE)

    async def repair(self) -> None:
        """Mend once what earlier releases left: keys that begin to be served need not wait."""
        if repaired := await self._log.repair_all():
            log.warning("%d keys of kind %r were about to expire", repaired, self.keeper.kind)
        if self._creation is not None and (healed := await self._creation.heal()):
            log.warning("%d places of %r were taken by no key", healed, self.keeper.kind)

    async def close(self) -> None:
        async with self._turn:
            try:
                await self.shelf.put_away()
            except AWAY as away:
                log.warning("States stay as logs, Redis is away: %s", type(away).__name__)

    async def _named(self, keys: Sequence[str]) -> list[str]:
        """Find the names of keys known by their tags alone; unknown ones stay as they are."""
        unknown = {key for key in keys if key.startswith(BARE)} - self._by_tag.keys()
        if unknown:
            try:
                self._by_tag = {BARE + tag(name): name for name in await self._log.every_name()}
            except AWAY as away:
                log.warning("Names cannot be looked up: %s", type(away).__name__)
        return [self._by_tag.get(key, key) for key in keys]

    def _until_deletion(self, rows: Rows) -> tuple[Rows, Rows]:
        """Part the rows: what follows a key's deletion is for the state that begins after it."""
        due, later, deleted = Rows(), Rows(), set[str]()
        for at, each in rows:
            (later if each.key in deleted else due).append((at, each))
            if self.keeper.removal(each) is not None:
                deleted.add(each.key)
        return due, later

    async def _try(self, rows: Rows, replies: list[Reply | None]) -> Rows:
        """Answer the rows; give back those whose key had moved on."""
        try:
            _check_wanted()
            held = await self.shelf.hold([each.key for _, each in rows])
            _check_wanted()
            lost = await self._unreadable(rows, held.unreadable, replies)
            rows, begun = await self._admit(rows, held.residents, replies)
            await self.shelf.make_room(held.residents)
            if given_up():
                await self._free_unused(begun)
                raise GivenUpError
        except AWAY as away:
            log.warning("States cannot be fetched: %s", type(away).__name__)
            for at, each in rows:
                replies[at] = self._away(each)
            return []
        fresh = Rows()
        for at, each in rows:
            resident = held.residents.get(each.key)
            if resident is not None and resident.knows(each.id):
                replies[at] = self._again(resident, each)
            elif resident is not None:
                fresh.append((at, each))
        if fresh:
            lost += await self._answer(fresh, held.residents, replies)
        await self._free_unused(begun - {each.key for _, each in lost})
        return lost

    async def _admit(
        self, rows: Rows, residents: dict[str, Resident[State]], replies: list[Reply | None]
    ) -> tuple[Rows, set[str]]:
        """Refuse rows that may not begin their keys; give the others, and the keys that begin."""
        beginning: dict[str, Owner | None] = {}
        for _, each in rows:  # whose row comes first owns the key
            if each.owner is not None and _begins(residents.get(each.key), each):
                beginning.setdefault(each.key, each.owner)
        if self._creation is None or not beginning:
            return rows, set()
        refusals = await self._creation.admit(beginning)
        for at, each in rows:
            if each.key in refusals:
                replies[at] = Reply(refusal=refusals[each.key])
                self.shelf.drop(each.key)
        return [row for row in rows if row[1].key not in refusals], beginning.keys() - refusals

    def _place(self, key: str, owner: Owner) -> Place | None:
        return None if self._creation is None else self._creation.place(key, owner)

    async def _free_unused(self, keys: set[str]) -> None:
        """Give back the places of keys that were to begin and did not."""
        if not keys:
            return
        unused = {key for key in keys if self.shelf.is_empty(key)}
        unknown = [key for key in keys if self.shelf.is_empty(key) is None]
        with suppress(*AWAY):
            listed = await self._log.listed(unknown)
            unused |= {key for key, there in zip(unknown, listed, strict=True) if not there}
        await self._free(unused)

    async def _free(self, keys: Iterable[str]) -> None:
        """Give the places of these keys back; those that stay taken are found later."""
        if self._creation is not None:
            with suppress(*AWAY):
                await self._creation.free(keys)

    async def _answer(
        self, rows: Rows, held: dict[str, Resident[State]], replies: list[Reply | None]
    ) -> Rows:
        try:
            found = self.keeper.answer([(held[each.key].state, each) for _, each in rows])
            lost = await self._write(rows, found, held)
        except BaseException as failure:
            # Whatever it was, these states may be ahead of their logs now.
            keys = list(dict.fromkeys(each.key for _, each in rows))
            for key in keys:
                self.shelf.drop(key)
            if not isinstance(failure, Exception):
                raise
            if len(keys) > 1:
                return await self._answer_apart(keys, rows, replies)
            log.exception("%s %r could not answer", self.keeper.kind, keys[0])
            for at, each in rows:
                replies[at] = failed(each)
            return []
        for (at, _), reply in zip(rows, found, strict=True):
            replies[at] = reply
        return [(at, each) for at, each in rows if each.key in lost]

    async def _answer_apart(
        self, keys: Sequence[str], rows: Rows, replies: list[Reply | None]
    ) -> Rows:
        """Answer rows of which one failed, key by key: the other keys' rows are answered."""
        lost = Rows()
        for key in keys:
            lost += await self._try([row for row in rows if row[1].key == key], replies)
        return lost

    async def _unreadable(
        self, rows: Rows, unreadable: dict[str, Unreadable], replies: list[Reply | None]
    ) -> Rows:
        """Refuse rows of keys that cannot be read; to delete such a key is all that can be done."""
        lost = Rows()
        for at, each in rows:
            if (found := unreadable.get(each.key)) is None:
                continue
            replies[at] = unreadable_refusal(each.key, found)
            if removal := self.keeper.removal(each):
                entry = Entry([removal.event], [each.id])
                last = Append.of(each.key, found.number + 1, entry, ends=True)
                (taken,) = await self._log.append([last])
                replies[at] = self._away(each) if taken is None else removal
                if taken:
                    await self._free([each.key])
                lost += [(at, each)] if taken is False else []
        return lost

    def _again(self, resident: Resident[State], asked: Asked) -> Reply:
        """Answer a row that is known already; nothing of it is written a second time."""
        reply = self.keeper.removal(asked) or self.keeper.again(resident.state, asked)
        reply.event = None
        return reply

    async def _write(
        self, rows: Rows, found: Sequence[Reply], held: dict[str, Resident[State]]
    ) -> set[str]:
        """Append what happened, one entry a key; give the keys that had moved on without us."""
        appends = _appends(rows, found, held, self._place)
        written = {append.key for append in appends}
        others = list(dict.fromkeys(each.key for _, each in rows if each.key not in written))
        try:
            taken = await self._log.append(appends) if appends else []
        except AWAY as away:
            log.warning("Nothing could be written down: %s", type(away).__name__)
            for key in written:
                self.shelf.drop(key)
            self._take_back(rows, found, {*written, *others})
            return set()
        for append, good in zip(appends, taken, strict=True):
            if good and not append.ends:
                self.shelf.wrote(held[append.key], append)
            else:
                self.shelf.drop(append.key)
        outcomes = dict(zip((append.key for append in appends), taken, strict=True))
        lost = {key for key, good in outcomes.items() if good is False}
        refused = {key for key, good in outcomes.items() if good is None}
        self._take_back(rows, found, refused)
        await self._free(each.key for each in appends if each.ends and outcomes[each.key])
        await self._tell(rows, found, lost | refused)
        if others:
            lost |= await self._moved_on(others, rows, found, held)
        return lost

    async def _moved_on(
        self,
        keys: Sequence[str],
        rows: Rows,
        found: Sequence[Reply],
        held: dict[str, Resident[State]],
    ) -> set[str]:
        """Find the keys that were answered from an old state: no append of theirs was refused.

        Another holder may have written to a key, or deleted it, while this one hung or had gone
        out of use. What it would say of a decision or a trial that it never saw is wrong.
        """
        try:
            numbers = await self._log.numbers(keys)
        except AWAY as away:
            log.warning("States cannot be compared with their logs: %s", type(away).__name__)
            self._take_back(rows, found, set(keys))
            return set()
        moved = {
            key for key, number in zip(keys, numbers, strict=True) if number != held[key].number
        }
        for key in moved:
            self.shelf.drop(key)
        return moved

    async def _withdraw(self, asked: Sequence[Asked], replies: Sequence[Reply | None]) -> None:
        """Take back what was written while the caller gave up: nobody will ever be told of it."""
        written = [
            each
            for each, reply in zip(asked, replies, strict=True)
            if reply is not None and reply.event is not None and not reply.deletes
        ]
        with suppress(*AWAY):  # then it stands
            held = (await self.shelf.hold([each.key for each in written])).residents
            entries: dict[str, Entry] = {}
            for each in written:
                resident = held.get(each.key)
                if resident is None or not resident.knows(each.id):
                    continue
                if (event := self.keeper.withdraw(resident.state, each)) is not None:
                    entries.setdefault(each.key, Entry([], [])).events.append(event)
            if entries:
                await self._append_withdrawals(entries, held)

    async def _append_withdrawals(
        self, entries: dict[str, Entry], held: dict[str, Resident[State]]
    ) -> None:
        appends = [Append.of(key, held[key].number + 1, entry) for key, entry in entries.items()]
        kept = set[str]()
        try:
            for append, good in zip(appends, await self._log.append(appends), strict=True):
                if good:
                    self.shelf.wrote(held[append.key], append)
                    kept.add(append.key)
        finally:
            for key in entries.keys() - kept:
                self.shelf.drop(key)

    async def _tell(self, rows: Rows, found: Sequence[Reply], lost: set[str]) -> None:
        notices = [
            notice
            for (_, each), reply in zip(rows, found, strict=True)
            if each.key not in lost
            for notice in reply.notices
        ]
        if notices:
            try:
                await self._log.tell(notices)
            except AWAY as away:
                log.warning("Nobody could be told of alarms: %s", type(away).__name__)

    def _take_back(self, rows: Rows, found: Sequence[Reply], keys: set[str]) -> None:
        """Say of rows that could not be written down, or compared, that they did not happen."""
        for (_, each), reply in zip(rows, found, strict=True):
            if each.key in keys:
                away = self._away(each)
                reply.columns, reply.detail, reply.refusal = away.columns, None, away.refusal
                reply.event = None

    def _away(self, asked: Asked) -> Reply:
        return Reply(refusal=self.keeper.unavailable(asked))


def _appends(
    rows: Rows,
    found: Sequence[Reply],
    held: dict[str, Resident[Any]],
    place_of: Callable[[str, Owner], Place | None],
) -> list[Append]:
    """Put the events of each key into its next entry."""
    entries: dict[str, Entry] = {}
    ends: set[str] = set()
    for (_, each), reply in zip(rows, found, strict=True):
        if reply.event is not None:
            entry = entries.setdefault(each.key, Entry([], []))
            entry.events.append(reply.event)
            entry.ids.append(each.id)
        if reply.deletes:
            ends.add(each.key)
    for key in ends:  # what is sent again of what is gone shall not begin it anew
        entries[key] = Entry([], [*(held[key].ids or ()), *entries[key].ids])
    owners: dict[str, Owner] = {}
    for _, each in rows:  # whose row comes first owns the key
        if each.owner is not None and held[each.key].empty:
            owners.setdefault(each.key, each.owner)
    places = {key: place_of(key, owner) for key, owner in owners.items()}
    return [
        Append.of(
            key,
            held[key].number + 1,
            entry,
            begins=held[key].empty,
            ends=key in ends,
            place=places.get(key),
        )
        for key, entry in entries.items()
    ]


def _begins(resident: Resident[Any] | None, asked: Asked) -> bool:
    return resident is not None and resident.empty and not resident.knows(asked.id)


def _check_wanted() -> None:
    """End a batch that nobody waits for, before any of it is written.

    Its rows may have been sent again by now, taken, and deleted with their key: written after that
    they would count in the state that begins anew. An append that is on its way has its number, and
    is refused if anything came between.
    """
    if given_up():
        raise GivenUpError
