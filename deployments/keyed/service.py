"""Answers batches of a family with state: written down in Redis before anything is said."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Generic

import numpy as np
from redis.exceptions import RedisError

from deployments.batch import Batch, Columns, Prediction
from deployments.keyed.keeper import Asked, Keeper, Reply, State
from deployments.keyed.log import Append, Entry, KeyLog
from deployments.keyed.shelf import USUAL, Resident, Shelf, ShelfLimits
from deployments.keyed.tags import BARE, tag

log = logging.getLogger(__name__)

AWAY = (RedisError, OSError, TimeoutError)
# A key whose log somebody else wrote to meanwhile is fetched anew and asked once more; twice in a
# row means that replicas come and go just now, and the client had better wait.
TRIES = 3

Rows = list[tuple[int, Asked]]


class KeyedService(Generic[State]):
    """One family's states on one replica."""

    def __init__(
        self,
        keeper: Keeper[State],
        log_: KeyLog,
        clock: Callable[[], float],
        limits: ShelfLimits = USUAL,
    ) -> None:
        self.keeper = keeper
        self._log = log_
        self.shelf = Shelf(keeper, log_, clock, limits)
        # Batches follow each other: a state may be asked only when what it was asked before is
        # written down, and every batch shares one write anyway.
        self._turn = asyncio.Lock()
        self._by_tag: dict[str, str] = {}

    async def answer(self, batch: Batch, model: str, version: str) -> Prediction:
        keys = await self._named(batch.keys)
        asked = [Asked(*each) for each in zip(keys, batch.ids, batch.asks, strict=True)]
        replies: list[Reply | None] = [None] * len(asked)
        rows = list(enumerate(asked))
        async with self._turn:
            for _ in range(TRIES):
                rows = await self._try(rows, replies)
                if not rows:
                    break
        for at, each in rows:
            replies[at] = self._away(each)
        return self._prediction(replies, model, version)

    async def tidy(self) -> None:
        async with self._turn:
            await self.shelf.tidy()

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

    async def _try(self, rows: Rows, replies: list[Reply | None]) -> Rows:
        """Answer the rows; give back those whose key had moved on."""
        try:
            held = await self.shelf.hold([each.key for _, each in rows])
        except AWAY as away:
            log.warning("States cannot be fetched: %s", type(away).__name__)
            for at, each in rows:
                replies[at] = self._away(each)
            return []
        fresh = [(at, each) for at, each in rows if not held[each.key].knows(each.id)]
        known = [(at, each) for at, each in rows if held[each.key].knows(each.id)]
        for at, each in known:
            replies[at] = self.keeper.again(held[each.key].state, each)
        if not fresh:
            return []
        try:
            found = self.keeper.answer([(held[each.key].state, each) for _, each in fresh])
            lost = await self._write(fresh, found, held)
        except BaseException:
            # Whatever it was, these states may be ahead of their logs now.
            for _, each in fresh:
                self.shelf.drop(each.key)
            raise
        for (at, _), reply in zip(fresh, found, strict=True):
            replies[at] = reply
        return [(at, each) for at, each in fresh if each.key in lost]

    async def _write(
        self, rows: Rows, found: Sequence[Reply], held: dict[str, Resident[State]]
    ) -> set[str]:
        """Append what happened, one entry a key; give the keys that had moved on without us."""
        entries: dict[str, Entry] = {}
        gone: set[str] = set()
        for (_, each), reply in zip(rows, found, strict=True):
            if reply.event is not None:
                entry = entries.setdefault(each.key, Entry([], []))
                entry.events.append(reply.event)
                entry.ids.append(each.id)
            if reply.deletes:
                gone.add(each.key)
        appends = [Append.of(key, held[key].number + 1, entry) for key, entry in entries.items()]
        if not appends:
            return set()
        try:
            taken = await self._log.append(appends)
        except AWAY as away:
            log.warning("Nothing could be written down: %s", type(away).__name__)
            self._take_back(rows, found, set(entries))
            return set()
        lost = {append.key for append, good in zip(appends, taken, strict=True) if not good}
        for append in appends:
            if append.key in lost:
                self.shelf.drop(append.key)
            else:
                self.shelf.wrote(held[append.key], append)
        for key in gone - lost:
            await self._log.delete(key, held[key].number)
            self.shelf.drop(key)
        await self._tell(rows, found, lost)
        return lost

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
        """Say of rows that could not be written down that they did not happen."""
        for (_, each), reply in zip(rows, found, strict=True):
            if each.key in keys:
                self.shelf.drop(each.key)
                away = self._away(each)
                reply.columns, reply.detail, reply.refusal = away.columns, None, away.refusal
                reply.event = None

    def _away(self, asked: Asked) -> Reply:
        return Reply(refusal=self.keeper.unavailable(asked))

    def _prediction(self, replies: list[Reply | None], model: str, version: str) -> Prediction:
        found = [reply if reply is not None else Reply() for reply in replies]
        columns: Columns = {
            name: np.array([reply.columns.get(name, np.nan) for reply in found])
            for name in self.keeper.columns
        }
        details: list[Any] = [reply.detail for reply in found]
        refusals = {row: reply.refusal for row, reply in enumerate(found) if reply.refusal}
        return Prediction(columns, model, version, details, refusals)
