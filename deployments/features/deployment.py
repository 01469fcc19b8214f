"""The features deployment: fills the columns that requests left out."""

from config_store.document import FeatureConfig
from config_store.store import Version
from deployments.api.shipped import FAMILIES
from deployments.history.client import HistorySource
from deployments.runtime.batch import Batch, filled_to_frame
from deployments.runtime.replica import Replica
from deployments.runtime.stage import Stage
from deployments.runtime.transport.frame import Frame
from features.fill import Freshness, fill
from features.store import FeatureStore
from observability.background import BackgroundLoop
from settings.redis_connection import REDIS_AWAY


class Features(Stage[FeatureConfig]):
    def __init__(self, replica: Replica) -> None:
        super().__init__(replica)
        self._store = FeatureStore(replica.redis, HistorySource(), replica.clocks.wall)

    async def answer(self, frame: Frame, compiled: FeatureConfig) -> Frame:
        """Give every feature column that the batch's family needs."""
        batch = Batch.from_frame(frame)
        hits, misses = self._store.hits, self._store.misses
        rows = await self._store.rows(batch.entities)
        self.replica.metrics.cached(self._store.hits - hits, self._store.misses - misses)
        fresh = Freshness(self.replica.clocks.wall(), compiled.stale_after_seconds)
        family = FAMILIES[batch.family]
        filled = fill(
            family.features,
            batch.entities,
            batch.columns,
            rows,
            compiled.defaults,
            fresh,
            family.optional_features,
            family.preferred_features,
        )
        return filled_to_frame(filled)

    def compile(self, version: Version) -> FeatureConfig:
        return version.document.features

    def start_work(self) -> list[BackgroundLoop]:
        loops = self.replica.loops
        return [
            loops.start(
                "refresh features", self._refresh, self._refresh_seconds, expected=REDIS_AWAY
            )
        ]

    async def close(self) -> None:
        await self._store.close()

    def _refresh_seconds(self) -> float:
        return self.versions.active.compiled.refresh_seconds

    async def _refresh(self) -> None:
        await self._store.refresh(self._refresh_seconds())
