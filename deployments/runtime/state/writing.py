"""Writes down what a batch did to its keys, before anything of it is said."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Generic

from deployments.runtime.batch import Owner
from deployments.runtime.state.appending import append_and_know
from deployments.runtime.state.cache import Resident, StateCache
from deployments.runtime.state.entries import Append, Entry, QuotaPlace
from deployments.runtime.state.handler import Reply, Rows, State, StateHandler
from deployments.runtime.state.log import KeyLog
from deployments.runtime.state.quota_places import QuotaPlaces
from deployments.runtime.state.replies import unavailable
from settings.redis_connection import REDIS_AWAY

log = logging.getLogger(__name__)


class Writing(Generic[State]):
    """The way of one family's events into their logs."""

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

    async def write(
        self, rows: Rows, found: Sequence[Reply], held: dict[str, Resident[State]]
    ) -> set[str]:
        """Append what happened, one entry a key; give the keys that had moved on without us."""
        appends = _appends(rows, found, held, self._places.of)
        written = {append.key for append in appends}
        others = list(dict.fromkeys(each.key for _, each in rows if each.key not in written))
        try:
            taken = await append_and_know(self._log, appends) if appends else []
        except REDIS_AWAY as away:
            log.warning("Events could not be appended to the logs: %s", type(away).__name__)
            for key in written:
                self._cache.drop(key)
            self._take_back(rows, found, {*written, *others})
            return set()
        for append, good in zip(appends, taken, strict=True):
            if good and not append.ends:
                self._cache.wrote(held[append.key], append)
            else:
                self._cache.drop(append.key)
        outcomes = dict(zip((append.key for append in appends), taken, strict=True))
        lost = {key for key, good in outcomes.items() if good is False}
        refused = {key for key, good in outcomes.items() if good is None}
        self._take_back(rows, found, refused)
        await self._places.free(each.key for each in appends if each.ends and outcomes[each.key])
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
            positions = await self._log.positions(keys)
        except REDIS_AWAY as away:
            log.warning("States cannot be compared with their logs: %s", type(away).__name__)
            self._take_back(rows, found, set(keys))
            return set()
        moved = {key for key, at in zip(keys, positions, strict=True) if at != held[key].position}
        for key in moved:
            self._cache.drop(key)
        return moved

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
            except REDIS_AWAY as away:
                log.warning("Alarms could not be published: %s", type(away).__name__)

    def _take_back(self, rows: Rows, found: Sequence[Reply], keys: set[str]) -> None:
        """Say of rows that could not be written down, or compared, that they did not happen."""
        for (_, each), reply in zip(rows, found, strict=True):
            if each.key in keys:
                away = unavailable(self._handler, each)
                reply.columns, reply.detail, reply.refusal = away.columns, None, away.refusal
                reply.event = None


def _appends(
    rows: Rows,
    found: Sequence[Reply],
    held: dict[str, Resident[Any]],
    place_of: Callable[[str, Owner], QuotaPlace | None],
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
    # Of a key that begins all rows here have one owner.
    owners = {
        each.key: each.owner for _, each in rows if each.owner is not None and held[each.key].empty
    }
    places = {key: place_of(key, owner) for key, owner in owners.items()}
    return [
        Append.of(
            key,
            held[key].number + 1,
            entry,
            after=held[key].mark,
            begins=held[key].empty,
            ends=key in ends,
            place=places.get(key),
        )
        for key, entry in entries.items()
    ]
