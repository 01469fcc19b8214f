"""Makes features of stored telemetry and puts them where replicas and gateways look."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from redis.asyncio import Redis

from deployments.telemetry.news import NewestIntervals
from features import store as rows_in_redis
from features.definitions.catalogue import Catalogue
from features.rows import MINUTE, FeatureRow
from features.telemetry.judged import forget_judged, read_judged
from features.telemetry.tables import milliseconds
from features.vectors import published as vectors_in_redis
from features.vectors.computed import Facts, StoredFeatures
from features.vectors.functions import FunctionFeatures
from features.vectors.judged import with_judged
from features.vectors.publications import note

# Entities that are published again at a time, between those of which something new came.
A_PUBLICATION = 500
NO_FUNCTIONS = FunctionFeatures(Catalogue(), None)


class FeaturePublisher:
    """Writes what models read of an entity, and all its features beside it."""

    def __init__(
        self,
        store: Any,
        redis: Redis,
        wall: Callable[[], float],
        facts_of: Callable[[str], Facts],
        own: Callable[[], FunctionFeatures] = lambda: NO_FUNCTIONS,
    ) -> None:
        """Take who tells which features users' functions compute."""
        self._store = store
        self._redis = redis
        self._wall = wall
        self._features = StoredFeatures(store, facts_of)
        self._own = own
        # One that is slow takes no thread from those who store and read.
        self._functions = ThreadPoolExecutor(1, "functions")
        self._cadence: dict[str, int] = {}
        self.news = NewestIntervals(wall())

    async def latest(self, entities: Sequence[str]) -> dict[str, FeatureRow]:
        """Read the feature rows of these entities off their newest stored interval."""
        now_ms = milliseconds(self._wall())
        rows = await asyncio.to_thread(self._features.rows, list(entities), now_ms)
        return {
            entity: replace(row, cadence_seconds=float(self._cadence.get(entity, MINUTE)))
            for entity, row in rows.items()
        }

    async def publish(
        self, entities: Sequence[str], cadence_seconds: int, known_ms: int = 0
    ) -> None:
        """Write the features of entities, of which rows were stored that are known since then."""
        self._cadence |= dict.fromkeys(entities, cadence_seconds)
        # The clock of Redis, which posted rows go by, may be ahead of this one.
        moment = max(milliseconds(self._wall()), known_ms)
        found = await asyncio.to_thread(
            self._features.published, list(entities), float(cadence_seconds), moment
        )
        if found:
            rows = [(entity, each.row) for entity, each in found.items()]
            vectors = {entity: each.vector for entity, each in found.items()}
            judged = await read_judged(self._redis, [*found])
            full = {
                entity: with_judged(each, judged.get(entity)) for entity, each in vectors.items()
            }
            own = self._own()
            if own.names:
                loop = asyncio.get_running_loop()
                full = await loop.run_in_executor(self._functions, own.put_into, full)
            stored = rows_in_redis.as_stored(self._redis, rows)
            stored |= vectors_in_redis.as_stored(self._redis, full, own.layout)
            await rows_in_redis.write(self._redis, stored)
            written = milliseconds(self._wall())
            # Without what streams said: it cannot be computed again of rows that are stored.
            again = own.as_computed_again(vectors, full)
            times = {"moment_ms": moment, "written_ms": written}
            await asyncio.to_thread(note, self._store, again, layout=own.layout, **times)

    async def publish_again(self) -> None:
        """Publish what was published since the start, where other functions compute it now."""
        by_cadence: dict[int, list[str]] = {}
        for entity, cadence in self._cadence.items():
            by_cadence.setdefault(cadence, []).append(entity)
        for cadence, entities in by_cadence.items():
            for first in range(0, len(entities), A_PUBLICATION):
                await self.publish(entities[first : first + A_PUBLICATION], cadence)

    async def withdraw(self, entities: Sequence[str]) -> None:
        """Say of these entities that nothing is known of them any more."""
        nothing = FeatureRow({}, self._wall())
        self.news.forget(entities)
        for each in entities:
            self._cadence.pop(each, None)
        if entities:
            await rows_in_redis.publish(self._redis, [(each, nothing) for each in entities])
            await vectors_in_redis.forget(self._redis, entities)
            await forget_judged(self._redis, entities)
