"""The versions that are alive on a replica: what it compiled of each, for batches that name one."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from config_store.errors import ConfigError, VersionAwayError
from config_store.shared_loads import SharedLoads
from config_store.store import Version
from settings.redis_connection import REDIS_AWAY

Compiled = TypeVar("Compiled")

# A batch is on its way for seconds at most: those before the last few are named by nobody.
MOST_ALIVE = 8


@dataclass(frozen=True, slots=True)
class Live(Generic[Compiled]):
    """One version as this replica goes by it."""

    number: int
    config_hash: str
    compiled: Compiled


class LiveVersions(Generic[Compiled]):
    """Gives what was compiled of the version that a batch names: of that one, or of none.

    A version comes with its notice. One whose notice is late, or long past, is read from the store
    when the first batch names it. What is in memory needs no Redis.

    The hash is compared beside the number: a Redis that lost its last second may give a number out
    a second time.
    """

    def __init__(
        self,
        read: Callable[[int], Awaitable[Version]],
        compile_version: Callable[[Version], Compiled],
        most: int = MOST_ALIVE,
    ) -> None:
        self._read = read
        self._compile = compile_version
        self._most = most
        self._alive: OrderedDict[int, Live[Compiled]] = OrderedDict()
        self._reads: SharedLoads[int, Live[Compiled]] = SharedLoads()
        self._active: int | None = None

    @property
    def active(self) -> Live[Compiled]:
        """The one of the latest notice, for what is no batch's work."""
        if self._active is None:
            raise VersionAwayError(0, "no version has been loaded yet")
        return self._alive[self._active]

    def alive(self) -> list[Live[Compiled]]:
        """Give all that are in memory, the one used last at the end."""
        return list(self._alive.values())

    def hashes(self) -> list[str]:
        """Give the hashes of all that are in memory."""
        return [each.config_hash for each in self._alive.values()]

    def activate(self, version: Version) -> Live[Compiled]:
        """Take a version over at its notice."""
        live = self._keep(version)
        self._active = version.number
        self._make_room()
        return live

    def held(self, number: int, config_hash: str) -> Live[Compiled] | None:
        """Give a version that is in memory."""
        live = self._alive.get(number)
        if live is None or live.config_hash != config_hash:
            return None
        self._alive.move_to_end(number)
        return live

    async def get(
        self, number: int, config_hash: str, within_seconds: float | None
    ) -> Live[Compiled]:
        """Give a version, read from the store where it must be; VersionAwayError says why not."""
        if (live := self.held(number, config_hash)) is not None:
            return live
        try:
            async with asyncio.timeout(within_seconds):
                live = await self._reads.get(number, partial(self._fetch, number))
        except TimeoutError as late:
            raise VersionAwayError(number, "it was not loaded in time") from late
        except (ConfigError, *REDIS_AWAY) as away:
            raise VersionAwayError(number, str(away) or type(away).__name__) from away
        if live.config_hash != config_hash:
            raise VersionAwayError(
                number, f"this number belongs to another document: {live.config_hash}"
            )
        return live

    async def _fetch(self, number: int) -> Live[Compiled]:
        live = self._keep(await self._read(number))
        self._make_room()
        return live

    def _keep(self, version: Version) -> Live[Compiled]:
        live = self.held(version.number, version.config_hash)
        if live is None:
            compiled = self._compile(version)
            live = Live(version.number, version.config_hash, compiled)
            self._alive[version.number] = live
            self._alive.move_to_end(version.number)
        return live

    def _make_room(self) -> None:
        """Let those go that were used longest ago, but for the active one."""
        while len(self._alive) > self._most:
            oldest = next(number for number in self._alive if number != self._active)
            del self._alive[oldest]
