"""Answers batches of a family with state: written down in Redis before anything is said."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from deployments.runtime.batch import Batch, Prediction
from deployments.runtime.state.cache import USUAL, StateCache, StateCacheLimits
from deployments.runtime.state.creation import Creation
from deployments.runtime.state.handler import Reply, State, StateHandler, StateRequest
from deployments.runtime.state.log import KeyLog
from deployments.runtime.state.position import Position
from deployments.runtime.state.quota_places import QuotaPlaces
from deployments.runtime.state.replies import prediction_of, unavailable
from deployments.runtime.state.rounds import Rounds
from deployments.runtime.state.tags import BARE, tag
from deployments.runtime.state.withdrawing import Withdrawing
from deployments.runtime.transport.call import given_up_for_good
from settings.redis_connection import REDIS_AWAY

log = logging.getLogger(__name__)

Shown = TypeVar("Shown")

CLEAR_EVERY_SECONDS = 60.0
CLEARED_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class ShownState(Generic[Shown]):
    """What a key's state shows, and as of which entry."""

    position: Position
    shown: Shown


class KeyedService(Generic[State]):
    """One family's states on one replica."""

    def __init__(
        self,
        handler: StateHandler[State],
        log_: KeyLog,
        clock: Callable[[], float],
        limits: StateCacheLimits = USUAL,
        creation: Creation | None = None,
    ) -> None:
        """Without `creation` any key may begin at any time."""
        self.handler = handler
        self._log = log_
        self._creation = creation
        self.cache = StateCache(handler, log_, clock, limits)
        self._places = QuotaPlaces(handler, creation, self.cache)
        self._rounds = Rounds(handler, log_, self.cache, self._places)
        self._withdrawing = Withdrawing(handler, log_, self.cache)
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
        requests = [StateRequest(*each, settings) for each in rows_asked]
        replies: list[Reply | None] = [None] * len(requests)
        rows = list(enumerate(requests))
        async with self._turn:
            try:
                rows = await self._rounds.answer(rows, replies)
            finally:  # also where it ends between two rounds
                if given_up_for_good():
                    await self._withdrawing.withdraw(requests, replies)
        for at, each in rows:
            replies[at] = unavailable(self.handler, each)
        return prediction_of(replies, self.handler.columns, model, version)

    async def look(self, key: str, show: Callable[[State], Shown]) -> ShownState[Shown] | None:
        """Show a key's state, as of its latest entry that this replica knows, where it is read."""
        async with self._turn:
            resident = (await self.cache.hold([key])).residents.get(key)
            return None if resident is None else ShownState(resident.position, show(resident.state))

    async def tidy(self) -> None:
        if self._clock() - self._cleared > CLEAR_EVERY_SECONDS:
            self._cleared = self._clock()
            await self._log.clear_deleted(CLEARED_AT_ONCE)
        async with self._turn:
            await self._places.pay()
            await self.cache.tidy()

    async def repair(self) -> None:
        """Mend once what earlier releases left: keys that begin to be served need not wait."""
        if repaired := await self._log.repair_all():
            log.warning(
                "%d keys of kind %r had an expiry, which was removed", repaired, self.handler.kind
            )
        if self._creation is not None and (healed := await self._creation.heal()):
            log.warning(
                "%d places in the quota of %r belonged to no key and were freed",
                healed,
                self.handler.kind,
            )

    async def close(self) -> None:
        async with self._turn:
            try:
                await self.cache.put_away()
            except REDIS_AWAY as away:
                log.warning(
                    "No snapshots were written because Redis cannot be reached: %s",
                    type(away).__name__,
                )

    async def _named(self, keys: Sequence[str]) -> list[str]:
        """Find the names of keys known by their tags alone; unknown ones stay as they are."""
        unknown = {key for key in keys if key.startswith(BARE)} - self._by_tag.keys()
        if unknown:
            try:
                self._by_tag = {BARE + tag(name): name for name in await self._log.every_name()}
            except REDIS_AWAY as away:
                log.warning("Names of keys cannot be read: %s", type(away).__name__)
        return [self._by_tag.get(key, key) for key in keys]
