"""Answers a batch's rows in rounds: those whose keys moved on meanwhile are answered once more."""

import logging
from collections.abc import Sequence
from typing import Generic

from deployments.runtime.state.appending import append_and_know
from deployments.runtime.state.building import Unreadable
from deployments.runtime.state.cache import Resident, StateCache
from deployments.runtime.state.entries import Append, Entry
from deployments.runtime.state.handler import Reply, Rows, State, StateHandler, StateRequest
from deployments.runtime.state.log import KeyLog
from deployments.runtime.state.quota_places import QuotaPlaces
from deployments.runtime.state.replies import failed, unavailable, unreadable_refusal
from deployments.runtime.state.writing import Writing
from deployments.runtime.transport.call import GivenUpError, given_up
from settings.redis_connection import REDIS_AWAY

log = logging.getLogger(__name__)

# A key whose log somebody else wrote to meanwhile is fetched anew and asked once more; twice in a
# row means that replicas come and go just now, and the client had better wait.
TRIES = 3


class Rounds(Generic[State]):
    """Not for use by two tasks at once: who uses it holds the replica's lock."""

    def __init__(
        self,
        handler: StateHandler[State],
        log_: KeyLog,
        cache: StateCache[State],
        places: QuotaPlaces[State],
    ) -> None:
        self._handler = handler
        self._log = log_
        self._cache = cache
        self._places = places
        self._writing = Writing(handler, log_, cache, places)

    async def answer(self, rows: Rows, replies: list[Reply | None]) -> Rows:
        """Answer the rows, in as many rounds as it takes; give those that kept moving on."""
        tries = TRIES
        try:
            while rows and tries:
                due, later = self._until_deletion(rows)
                lost, put_off = await self._try(due, replies)
                await self._places.settle(each.key for _, each in lost)
                tries -= bool(lost)
                rows = sorted(lost + put_off + later, key=lambda row: row[0])
        finally:
            await self._places.settle()
        return rows

    def _until_deletion(self, rows: Rows) -> tuple[Rows, Rows]:
        """Part the rows: what follows a key's deletion is for the state that begins after it."""
        due, later, deleted = Rows(), Rows(), set[str]()
        for at, each in rows:
            (later if each.key in deleted else due).append((at, each))
            if self._handler.removal(each) is not None:
                deleted.add(each.key)
        return due, later

    async def _try(self, rows: Rows, replies: list[Reply | None]) -> tuple[Rows, Rows]:
        """Answer the rows; give back those whose key had moved on, and those put off."""
        _check_wanted()
        try:
            held = await self._cache.hold([each.key for _, each in rows])
        except REDIS_AWAY as away:
            log.warning("States cannot be read from Redis: %s", type(away).__name__)
            for at, each in rows:
                replies[at] = unavailable(self._handler, each)
            return [], []
        _check_wanted()
        rows, put_off = self._places.part(rows, held.residents)
        lost = await self._unreadable(rows, held.unreadable, replies)
        rows = await self._places.admit(rows, held.residents, replies)
        await self._cache.make_room(held.residents)
        _check_wanted()
        fresh = Rows()
        for at, each in rows:
            resident = held.residents.get(each.key)
            if resident is not None and resident.knows(each.id):
                replies[at] = self._repeat_reply(resident, each)
            elif resident is not None:
                fresh.append((at, each))
        if fresh:
            lost += await self._answer(fresh, held.residents, replies)
        return lost, put_off

    async def _answer(
        self, rows: Rows, held: dict[str, Resident[State]], replies: list[Reply | None]
    ) -> Rows:
        try:
            found = self._handler.answer([(held[each.key].state, each) for _, each in rows])
            lost = await self._writing.write(rows, found, held)
        except BaseException as failure:
            # Whatever it was, these states may be ahead of their logs now.
            keys = list(dict.fromkeys(each.key for _, each in rows))
            for key in keys:
                self._cache.drop(key)
            if not isinstance(failure, Exception):
                raise
            if len(keys) > 1:
                return await self._answer_apart(keys, rows, replies)
            log.exception("The %s %r failed to answer", self._handler.kind, keys[0])
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
            of_key = [row for row in rows if row[1].key == key]
            moved_on, put_off = await self._try(of_key, replies)
            lost += moved_on + put_off
        return lost

    async def _unreadable(
        self, rows: Rows, unreadable: dict[str, Unreadable], replies: list[Reply | None]
    ) -> Rows:
        """Refuse rows of keys that cannot be read; to delete such a key is all that can be done."""
        lost = Rows()
        for at, each in rows:
            if (found := unreadable.get(each.key)) is None:
                continue
            if (removal := self._handler.removal(each)) is None:
                replies[at] = unreadable_refusal(each.key, found)
                continue
            taken = await self._remove(each, removal, found)
            replies[at] = unavailable(self._handler, each) if taken is None else removal
            lost += [(at, each)] if taken is False else []
        return lost

    async def _remove(
        self, request: StateRequest, removal: Reply, found: Unreadable
    ) -> bool | None:
        """Delete a key as it was found; see `KeyLog.append` for what comes of it."""
        entry = Entry([removal.event], [request.id])
        last = Append.of(request.key, found.number + 1, entry, after=found.mark, ends=True)
        try:
            (taken,) = await append_and_know(self._log, [last])
        except REDIS_AWAY as away:
            log.warning("The key %r could not be deleted: %s", request.key, type(away).__name__)
            return None
        if taken:
            await self._places.free([request.key])
        return taken

    def _repeat_reply(self, resident: Resident[State], request: StateRequest) -> Reply:
        """Answer a row that is known already; nothing of it is written a second time."""
        reply = self._handler.removal(request) or self._handler.repeat_reply(
            resident.state, request
        )
        reply.event = None
        return reply


def _check_wanted() -> None:
    """End a batch that nobody waits for, before any of it is written.

    Its rows may have been sent again by now, taken, and deleted with their key: written after that
    they would count in the state that begins anew. An append that is on its way has its number, and
    is refused if anything came between.
    """
    if given_up():
        raise GivenUpError
