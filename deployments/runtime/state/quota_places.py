"""The places that a batch's new keys take in their creators' quotas, and give back.

A place that was asked for, and of which Redis did not say whether it was taken, is given back as
soon as Redis answers again, and so is one that could not be given back. A key that exists keeps its
place whatever is given back here (see creation.py).
"""

import logging
from collections.abc import Iterable
from typing import Any, Generic

from deployments.runtime.batch import Owner, Refusal
from deployments.runtime.state.cache import Resident, StateCache
from deployments.runtime.state.creation import Creation
from deployments.runtime.state.entries import QuotaPlace
from deployments.runtime.state.handler import Reply, Rows, State, StateHandler, StateRequest
from deployments.runtime.state.replies import unavailable
from settings.redis_connection import REDIS_AWAY

log = logging.getLogger(__name__)


class QuotaPlaces(Generic[State]):
    """Not for use by two tasks at once. Without `creation` any key may begin at any time."""

    def __init__(
        self, handler: StateHandler[State], creation: Creation | None, cache: StateCache[State]
    ) -> None:
        self._handler = handler
        self._creation = creation
        self._cache = cache
        # Keys that this batch is to begin.
        self._beginning = set[str]()
        # Keys whose places are to be given back once Redis answers.
        self._owed = set[str]()

    def part(self, rows: Rows, residents: dict[str, Resident[State]]) -> tuple[Rows, Rows]:
        """Part the rows of new keys: what another owner's row comes to is known after the first's.

        A row that is refused, or only looks, begins nothing, and its key counts for the next one.
        """
        due, later = Rows(), Rows()
        first: dict[str, Owner | None] = {}
        parted = set[str]()
        for at, each in rows:
            resident = residents.get(each.key)
            begins = self._creation is not None and resident is not None and resident.empty
            if begins and first.setdefault(each.key, each.owner) != each.owner:
                parted.add(each.key)
            (later if each.key in parted else due).append((at, each))
        return due, later

    async def admit(
        self, rows: Rows, residents: dict[str, Resident[State]], replies: list[Reply | None]
    ) -> Rows:
        """Refuse rows that may not begin their keys; give the others."""
        beginning: dict[str, Owner | None] = {}
        for _, each in rows:  # of a key that begins they have one owner
            if each.owner is not None and self._begins(residents.get(each.key), each):
                beginning[each.key] = each.owner
        if self._creation is None or not beginning:
            return rows
        await self.pay()
        refusals = await self._refusals(self._creation, beginning)
        left = Rows()
        for at, each in rows:
            if each.key not in refusals or self._handler.removal(each) is not None:
                left.append((at, each))
            elif (why := refusals[each.key]) is not None:
                replies[at] = Reply(refusal=why)
            else:
                replies[at] = unavailable(self._handler, each)
        for key in refusals.keys() - {each.key for _, each in left}:
            self._cache.drop(key)
        return left

    async def _refusals(
        self, creation: Creation, beginning: dict[str, Owner | None]
    ) -> dict[str, Refusal | None]:
        """Give the keys that may not begin, each with the reason; None where Redis is away."""
        admitted = False
        try:
            refusals = await creation.admit(beginning)
            admitted = True
        except REDIS_AWAY as away:
            log.warning("The creators' quotas could not be checked: %s", type(away).__name__)
            return dict.fromkeys(beginning)
        finally:
            if not admitted:  # some of the places may have been taken all the same
                self._owed |= beginning.keys()
        self._beginning |= beginning.keys() - refusals
        return {**refusals}

    def of(self, key: str, owner: Owner) -> QuotaPlace | None:
        return None if self._creation is None else self._creation.place(key, owner)

    async def settle(self, but: Iterable[str] = ()) -> None:
        """Give back the places of keys that did not begin; `but` these, which may do so yet."""
        kept = set(but)
        left = self._beginning - kept
        unused = [key for key in left if self._cache.is_empty(key) is not False]
        self._beginning &= kept
        if unused:
            await self.free(unused)

    async def free(self, keys: Iterable[str]) -> None:
        """Give the places of these keys back, now or as soon as Redis answers."""
        self._owed |= set(keys)
        await self.pay()

    async def pay(self) -> None:
        """Give back what could not be given back before."""
        if self._creation is None or not self._owed:
            return
        try:
            await self._creation.free(self._owed)
        except REDIS_AWAY:
            return
        self._owed.clear()

    def _begins(self, resident: Resident[Any] | None, request: StateRequest) -> bool:
        if resident is None or not resident.empty or resident.knows(request.id):
            return False
        return self._handler.removal(request) is None
