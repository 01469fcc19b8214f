"""The places that a batch's new keys take in their creators' quotas, and give back.

A place that was asked for, and of which Redis did not say whether it was taken, is given back as
soon as Redis answers again, and so is one that could not be given back. A key that exists keeps its
place whatever is given back here (see creation.py).
"""

from collections.abc import Iterable
from typing import Any, Generic

from deployments.batch import Owner
from deployments.keyed.creation import Creation
from deployments.keyed.keeper import Asked, Reply, Rows, State
from deployments.keyed.log import AWAY, Place
from deployments.keyed.shelf import Resident, Shelf


class Places(Generic[State]):
    """Not for use by two tasks at once. Without `creation` any key may begin at any time."""

    def __init__(self, creation: Creation | None, shelf: Shelf[State]) -> None:
        self._creation = creation
        self._shelf = shelf
        # Keys that this batch was to begin.
        self._beginning = set[str]()
        # Keys whose places are to be given back once Redis answers.
        self._owed = set[str]()

    async def admit(
        self, rows: Rows, residents: dict[str, Resident[State]], replies: list[Reply | None]
    ) -> Rows:
        """Refuse rows that may not begin their keys; give the others."""
        beginning: dict[str, Owner | None] = {}
        for _, each in rows:  # whose row comes first owns the key
            if each.owner is not None and _begins(residents.get(each.key), each):
                beginning.setdefault(each.key, each.owner)
        if self._creation is None or not beginning:
            return rows
        await self.pay()
        try:
            refusals = await self._creation.admit(beginning)
        except BaseException:  # whatever it was, the places may have been taken
            self._owed |= beginning.keys()
            raise
        self._beginning |= beginning.keys() - refusals
        for at, each in rows:
            if each.key in refusals:
                replies[at] = Reply(refusal=refusals[each.key])
                self._shelf.drop(each.key)
        return [row for row in rows if row[1].key not in refusals]

    def of(self, key: str, owner: Owner) -> Place | None:
        return None if self._creation is None else self._creation.place(key, owner)

    async def settle(self) -> None:
        """Give back, once a batch is answered, the places of keys that it did not begin."""
        unused = [key for key in self._beginning if self._shelf.is_empty(key) is not False]
        self._beginning.clear()
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
        except AWAY:
            return
        self._owed.clear()


def _begins(resident: Resident[Any] | None, asked: Asked) -> bool:
    return resident is not None and resident.empty and not resident.knows(asked.id)
