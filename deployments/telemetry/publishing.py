"""Makes feature rows of stored telemetry and puts them where replicas look."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from redis.asyncio import Redis

from features.rows import MINUTE, FeatureRow
from features.store import publish
from features.telemetry import stored

# A week's medians move slowly; an entity that is new is normal by what there is of it so far.
BASELINE_SECONDS = 3600.0
NEW_BASELINE_SECONDS = 60.0


class FeaturePublisher:
    """Keeps what is normal for each entity, and writes the newest values beside it."""

    def __init__(
        self,
        store: Any,
        redis: Redis,
        wall: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._store = store
        self._redis = redis
        self._wall = wall
        self._monotonic = monotonic
        self._normal: dict[str, dict[str, float]] = {}
        self._learned_at = float("-inf")
        self._cadence: dict[str, int] = {}

    async def latest(self, entities: Sequence[str]) -> dict[str, FeatureRow]:
        """Read the feature rows of these entities off their newest stored interval."""
        await self._learn_normal(entities)
        rows = await asyncio.to_thread(
            stored.latest, self._store, list(entities), self._normal, int(self._wall())
        )
        return {
            entity: replace(row, cadence_seconds=float(self._cadence.get(entity, MINUTE)))
            for entity, row in rows.items()
        }

    async def publish(self, entities: Sequence[str], cadence_seconds: int) -> None:
        self._cadence |= dict.fromkeys(entities, cadence_seconds)
        if rows := await self.latest(entities):
            await publish(self._redis, rows.items())

    async def withdraw(self, entities: Sequence[str]) -> None:
        """Say of these entities that nothing is known of them any more."""
        nothing = FeatureRow({}, self._wall())
        if entities:
            await publish(self._redis, [(each, nothing) for each in entities])

    async def _learn_normal(self, entities: Sequence[str]) -> None:
        now = self._monotonic()
        unknown = any(each not in self._normal for each in entities)
        wait = NEW_BASELINE_SECONDS if unknown else BASELINE_SECONDS
        if now - self._learned_at >= wait:
            self._learned_at = now
            until = int(self._wall())
            self._normal = await asyncio.to_thread(stored.baselines, self._store, until)
