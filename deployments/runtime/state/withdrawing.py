"""Takes back what was written while its caller gave up: nobody will ever be told of it."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Generic

from deployments.runtime.state.cache import Resident, StateCache
from deployments.runtime.state.entries import Append, Entry
from deployments.runtime.state.handler import Reply, State, StateHandler, StateRequest
from deployments.runtime.state.log import KeyLog
from settings.redis_connection import REDIS_AWAY


class Withdrawing(Generic[State]):
    """Where a row may simply stand, its handler has no event for this."""

    def __init__(
        self, handler: StateHandler[State], log_: KeyLog, cache: StateCache[State]
    ) -> None:
        self._handler = handler
        self._log = log_
        self._cache = cache

    async def withdraw(
        self, requests: Sequence[StateRequest], replies: Sequence[Reply | None]
    ) -> None:
        """Take back what these rows wrote; where Redis is away, it stands."""
        written = [
            each
            for each, reply in zip(requests, replies, strict=True)
            if reply is not None and reply.event is not None and not reply.deletes
        ]
        with suppress(*REDIS_AWAY):
            held = (await self._cache.hold([each.key for each in written])).residents
            entries: dict[str, Entry] = {}
            for each in written:
                resident = held.get(each.key)
                if resident is None or not resident.knows(each.id):
                    continue
                if (event := self._handler.withdraw(resident.state, each)) is not None:
                    entries.setdefault(each.key, Entry([], [])).events.append(event)
            if entries:
                await self._append(entries, held)

    async def _append(self, entries: dict[str, Entry], held: dict[str, Resident[State]]) -> None:
        appends = [
            Append.of(key, held[key].number + 1, entry, after=held[key].mark)
            for key, entry in entries.items()
        ]
        kept = set[str]()
        try:
            for append, good in zip(appends, await self._log.append(appends), strict=True):
                if good:
                    self._cache.wrote(held[append.key], append)
                    kept.add(append.key)
        finally:
            for key in entries.keys() - kept:
                self._cache.drop(key)
