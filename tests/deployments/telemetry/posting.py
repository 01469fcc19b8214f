"""What the tests of posted telemetry post, and the drain that stores it."""

import time
from functools import cache

import numpy as np
from redis.asyncio import Redis

from config_store.sources import EntityFacts, SourcesConfig
from deployments.telemetry.intakes import IntakeDrain
from deployments.telemetry.ownership import Ownership
from deployments.telemetry.place import SourcePlace
from deployments.telemetry.publishing import FeaturePublisher
from features.sources.source import Gathered
from features.telemetry.columns import Telemetry
from features.telemetry.intake import Intake, packed_entries
from observability.clickhouse.embedded import EmbeddedClickhouse
from tests.deployments.telemetry.test_followed import rows

MINUTE = 60


@cache
def a_minute() -> int:
    """Give an interval that is over, with others to come after it; one for all of a test."""
    return int(time.time()) // MINUTE * MINUTE - 10 * MINUTE


def measured_of(*entities: str, ts: int) -> Gathered:
    columns = rows(np.full(len(entities), ts)).columns()
    columns["entity"] = np.array(entities)
    return Gathered(Telemetry(**columns))


class Posting:
    """A drain without a service around it, and a client that posts."""

    def __init__(self, store: EmbeddedClickhouse, redis: Redis) -> None:
        self.dead_letters = 0
        self.config: SourcesConfig | None = None
        self.later = 0.0
        self.features = FeaturePublisher(store, redis, self.wall, lambda _: EntityFacts())
        self.intake = Intake(redis, on_dead_letter=self._count)
        self.drain = IntakeDrain(
            self.intake,
            lambda name, cadence: SourcePlace(name, cadence, store, self.features, self.wall),
            lambda: self.config,
            Ownership(store, lambda: self.config, self.wall),
        )

    def wall(self) -> float:
        return time.time() + self.later

    async def post(self, *entities: str, ts: int) -> None:
        await self.intake.add("cron", packed_entries(measured_of(*entities, ts=ts)))

    def _count(self) -> None:
        self.dead_letters += 1
