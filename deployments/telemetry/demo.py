"""The demo platform: followed only where nobody has connected anything, and marked as a demo."""

import asyncio
from collections.abc import Sequence
from typing import Any

from config_store.sources import EntityFacts
from features.sources.simulator.platform import Platform
from features.sources.simulator.source import DEMO, DemoSource
from features.telemetry.by_source import forget_source, sources_present
from settings.environment import Settings


class Demo:
    """Decides whether the made-up platform may speak, and takes back what it said."""

    def __init__(self, store: Any, settings: Settings) -> None:
        self._store = store
        self._platform = Platform(settings.seed)
        # Nothing that is made up is ever written into a server that the user named.
        self._allowed = settings.clickhouse_url is None
        self.source = DemoSource(self._platform)
        self.history_days = settings.history_days
        self._removed = False
        # Whether anything was measured before this process began; later it is told of sources.
        self._measured: bool | None = None

    async def wanted(self, *, connected: bool) -> bool:
        """Tell whether it is to be followed: nothing is connected, and nothing ever was."""
        if connected or self._removed or not self._allowed:
            return False
        if self._measured is None:
            present = await asyncio.to_thread(sources_present, self._store)
            self._measured = bool(set(present) - {DEMO})
        return not self._measured

    async def remaining(self) -> Sequence[str]:
        """Name the entities of which something made up is still stored.

        The rows go last of all: as long as there are some, the rest is to be taken back too.
        """
        if self._removed or not self._allowed:
            return ()
        present = await asyncio.to_thread(sources_present, self._store)
        self._removed = DEMO not in present
        return () if self._removed else self._platform.entities

    async def remove(self) -> None:
        """Take the demo's rows out of the store."""
        await asyncio.to_thread(forget_source, self._store, DEMO)
        self._removed = True

    def facts_of(self, entity: str) -> EntityFacts | None:
        """Tell what exchange a made-up service follows, as long as it is not removed."""
        if self._removed or not self._allowed:
            return None
        for service in self._platform.services:
            if service.name == entity:
                return EntityFacts(exchange=service.exchange)
        return None
