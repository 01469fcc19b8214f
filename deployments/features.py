"""The features deployment: fills the columns that requests left out."""

import asyncio

from ray import serve

from config_store.store import Version
from deployments.batch import Batch
from deployments.families.shipped import FAMILIES
from deployments.history import HistorySource
from deployments.replica import Replica, every
from features.fill import Filled, Freshness, fill
from features.store import FeatureStore


@serve.deployment(name="features")
class Features:
    async def __init__(self) -> None:  # type: ignore[misc] # Ray awaits it
        self._replica = Replica("features", self._configure)
        self._store = FeatureStore(self._replica.redis, HistorySource(), self._replica.clocks.wall)
        self._configure(await self._replica.open())
        self._refreshing = asyncio.create_task(every(self._refresh_seconds, self._refresh))

    async def fill(self, batch: Batch) -> Filled:
        """Give every feature column that the batch's family needs."""
        hits, misses = self._store.hits, self._store.misses
        rows = await self._store.rows(batch.entities)
        self._replica.metrics.cached(self._store.hits - hits, self._store.misses - misses)
        fresh = Freshness(self._replica.clocks.wall(), self._config.stale_after_seconds)
        needed = FAMILIES[batch.family].features
        return fill(needed, batch.entities, batch.columns, rows, self._config.defaults, fresh)

    def _configure(self, version: Version) -> None:
        self._config = version.document.features

    def _refresh_seconds(self) -> float:
        return self._config.refresh_seconds

    async def _refresh(self) -> None:
        await self._store.refresh(self._config.refresh_seconds)

    async def __del__(self) -> None:
        self._refreshing.cancel()
        await self._store.close()
        await self._replica.close()
