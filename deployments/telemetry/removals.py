"""What the configuration no longer names: it is noted once, and what it left in Redis goes.

Which sources there were is remembered in Redis, so that one is also missed that was paused before,
or removed while the platform was down. What it measured stays in the store.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from redis.asyncio import Redis

from config_store.sources import SourceConfig
from deployments.telemetry.events import SourceEvents
from deployments.telemetry.publishing import FeaturePublisher
from features.sources.logs.positions import RedisPositions
from features.sources.logs.stream import LineStream
from features.sources.remote_write.stream import SampleStream
from features.store import PUBLISHED_SECONDS
from features.telemetry.by_source import entities_of_none_but
from settings.frozen import Frozen
from settings.redis_names import redis_name

# Gateways hear of it within a second, and what they took before is stored by then.
LINGER_SECONDS = 60.0


class RememberedSource(Frozen):
    """A source that the configuration named."""

    kind: str
    removed_at: float | None = None
    """Since when it does not, epoch seconds: of an event that is noted twice one is kept."""


class Removals:
    """Compares the configuration with the sources that there were."""

    def __init__(
        self, redis: Redis, store: Any, features: FeaturePublisher, wall: Callable[[], float]
    ) -> None:
        self._redis = redis
        self._key = redis_name(redis, "telemetry", "configured")
        self._store = store
        self._features = features
        self._wall = wall
        self._known: dict[str, RememberedSource] | None = None
        self._noted: set[str] = set()

    async def load(self) -> None:
        """Read which sources there were, where that is not known yet."""
        if self._known is None:
            found: Any = await self._redis.hgetall(self._key)
            self._known = {
                name.decode(): RememberedSource.model_validate_json(each)
                for name, each in found.items()
            }

    def is_new(self, name: str) -> bool:
        """Tell whether the configuration did not name the source until now."""
        known = (self._known or {}).get(name)
        return known is None or known.removed_at is not None

    def owes(self, name: str, config: SourceConfig) -> bool:
        """Tell whether something of an earlier source of this name is still to go."""
        known = (self._known or {}).get(name)
        return known is not None and known != RememberedSource(kind=config.kind)

    async def follow(self, named: Mapping[str, SourceConfig]) -> None:
        """Take away what is left of those that are gone, and remember those that are there."""
        await self.load()
        for name, known in list((self._known or {}).items()):
            if name not in named or known.removed_at is not None:
                await self._remove(name, known, named)
            elif self.owes(name, named[name]):
                await self._forget_traces(name)
                await self._remember(name, RememberedSource(kind=named[name].kind))
        for name, config in named.items():
            if name not in (self._known or {}):
                await self._remember(name, RememberedSource(kind=config.kind))

    async def _remove(
        self, name: str, known: RememberedSource, named: Mapping[str, SourceConfig]
    ) -> None:
        at = self._wall() if known.removed_at is None else known.removed_at
        if known.removed_at is None:
            await self._remember(name, RememberedSource(kind=known.kind, removed_at=at))
        is_over = name in named or not 0 <= self._wall() - at < LINGER_SECONDS
        if name not in self._noted or is_over:
            await self._forget_traces(name)
            await self._withdraw(name, named)
        if name not in self._noted:
            await SourceEvents(name, self._store, lambda: at).removed()
            self._noted.add(name)
        if is_over:
            await self._redis.hdel(self._key, name)
            self._noted.discard(name)
            if self._known is not None:
                del self._known[name]

    async def _remember(self, name: str, source: RememberedSource) -> None:
        await self._redis.hset(self._key, name, source.model_dump_json())
        if self._known is not None:
            self._known[name] = source

    async def _forget_traces(self, name: str) -> None:
        """Delete what waits for an evaluation that will not come, and what was read how far."""
        await SampleStream(self._redis, name).forget()
        await LineStream(self._redis, name).forget()
        await RedisPositions(self._redis, name).forget()

    async def _withdraw(self, name: str, named: Mapping[str, SourceConfig]) -> None:
        """Take features back of which no source is left that would renew them."""
        if name in named:
            return
        since = int(self._wall()) - PUBLISHED_SECONDS
        alone = await asyncio.to_thread(entities_of_none_but, self._store, name, [*named], since)
        await self._features.withdraw(alone)
