"""The places that a batch's new keys take in their creators' quotas, and give back."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Generic

from deployments.batch import Owner
from deployments.keyed.creation import Creation
from deployments.keyed.keeper import Asked, Reply, Rows, State
from deployments.keyed.log import AWAY, KeyLog, Place
from deployments.keyed.shelf import Resident, Shelf


class Places(Generic[State]):
    """Without `creation` any key may begin at any time."""

    def __init__(self, creation: Creation | None, log_: KeyLog, shelf: Shelf[State]) -> None:
        self._creation = creation
        self._log = log_
        self._shelf = shelf

    async def admit(
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
                self._shelf.drop(each.key)
        return [row for row in rows if row[1].key not in refusals], beginning.keys() - refusals

    def of(self, key: str, owner: Owner) -> Place | None:
        return None if self._creation is None else self._creation.place(key, owner)

    async def free_unused(self, keys: set[str]) -> None:
        """Give back the places of keys that were to begin and did not."""
        if not keys:
            return
        unused = {key for key in keys if self._shelf.is_empty(key)}
        unknown = [key for key in keys if self._shelf.is_empty(key) is None]
        with suppress(*AWAY):
            listed = await self._log.listed(unknown)
            unused |= {key for key, there in zip(unknown, listed, strict=True) if not there}
        await self.free(unused)

    async def free(self, keys: Iterable[str]) -> None:
        """Give the places of these keys back; those that stay taken are found later."""
        if self._creation is not None:
            with suppress(*AWAY):
                await self._creation.free(keys)


def _begins(resident: Resident[Any] | None, asked: Asked) -> bool:
    return resident is not None and resident.empty and not resident.knows(asked.id)
