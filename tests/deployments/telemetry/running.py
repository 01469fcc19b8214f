"""The whole service over a store of its own, and what is measured by a source and by a push."""

import time
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from config_store.shipped import default_document
from config_store.sources import PushSource, SourceConfig, SourcesConfig
from deployments.telemetry.demo import Demo
from deployments.telemetry.service import TelemetryService
from features.sources.checks import checked
from features.sources.posted import Posted, steps
from features.telemetry.by_source import sources_present
from features.telemetry.intake import packed_entries
from features.vectors.published import PublishedVectors
from features.vectors.vector import GROUPS, matrix_of
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.metrics import Metrics
from settings.environment import Settings
from tests.deploying import deployed
from tests.modules import NO_MODULES
from tests.waiting import eventually

MINUTE, TEN_MINUTES, HOUR = 60, 600, 3600
# The entity of the rows that are posted.
POSTED = "push"


class Running:
    """The whole service over a store of its own, with a clock that goes when told."""

    def __init__(self, store: EmbeddedClickhouse, redis: Redis) -> None:
        self.store, self.redis = store, redis
        # What is posted is known by the clock of Redis, which is behind this one: no step may end
        # between what was measured last and now, or windows had the one row and not the other.
        self.now = (time.time() // TEN_MINUTES + 1) * TEN_MINUTES + 7 * MINUTE + 5
        self.metrics = Metrics(CollectorRegistry())
        demo = Demo(store, Settings())
        self.service = TelemetryService(
            store, redis, self.metrics, demo, NO_MODULES, wall=self.wall
        )

    async def end(self) -> None:
        await self.service.close()
        await self.metrics.loops.stop()

    def wall(self) -> float:
        return self.now

    async def activate(self, **named: SourceConfig) -> None:
        document = default_document().model_copy(
            update={"sources": SourcesConfig.model_validate({"named": named})}
        )
        await deployed(self.redis, document)

    def present(self) -> dict[str, int]:
        return sources_present(self.store)

    async def vector(self, entity: str) -> np.ndarray:
        """Give the features that were published last of an entity."""
        (found,) = await PublishedVectors(self.redis).read([entity])
        assert found is not None
        layout, vector = found
        return matrix_of(layout, [vector])[0, -len(layout.names) :]

    async def newest(self, entity: str) -> float:
        """Tell which interval they are of."""
        (found,) = await PublishedVectors(self.redis).read([entity])
        if found is None:
            return 0.0
        layout, vector = found
        return float(matrix_of(layout, [vector])[0, 1 + GROUPS.index("Live")])


async def measured_twice(
    running: Running,
    measure: Callable[[Sequence[int]], Awaitable[None]],
    entity: str,
    **source: SourceConfig,
) -> tuple[np.ndarray, np.ndarray]:
    """Have the same measured by a source and by a push, and give the features of both.

    What measures is told the minutes, and posts for the entity POSTED.
    """
    (name,) = source
    last = int(running.now) // MINUTE * MINUTE - MINUTE
    await measure([last - MINUTE * back for back in range(90, -1, -1)])
    await running.activate(**source, push=PushSource())
    await eventually(lambda: running.present() == {name: 91, "push": 91})
    # Windows are as of whole steps: all of it is known by the next one of each.
    running.now += 2 * HOUR
    await measure([last + 2 * HOUR])

    async def are_published() -> bool:
        newest = [await running.newest(each) for each in (entity, POSTED)]
        return newest == [last + 2 * HOUR] * 2

    await eventually(are_published)
    return await running.vector(entity), await running.vector(POSTED)


def posted(body: bytes, now: float) -> list[bytes]:
    """Read a body as a gateway does."""
    reading = steps(body, csv=False)
    while True:
        try:
            next(reading)
        except StopIteration as done:
            found: Posted = done.value
            return packed_entries(checked(found.rows, now=now, cadence_seconds=MINUTE))
