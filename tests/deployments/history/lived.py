"""An hour in which the live path published what it knew of one entity."""

from redis.asyncio import Redis

from config_store.sources import EntityFacts
from deployments.telemetry.publishing import NO_FUNCTIONS, FeaturePublisher
from features.telemetry.tables import append
from features.vectors.functions import FunctionFeatures
from observability.clickhouse.embedded import EmbeddedClickhouse
from tests.measurements import telemetry_of

NOON = 1_773_144_000
ZONE = EntityFacts(time_zone="Europe/Zurich")


async def live(
    store: EmbeddedClickhouse, redis: Redis, own: FunctionFeatures = NO_FUNCTIONS
) -> None:
    """Let a row come every five minutes, 62 s after it began, and be published 0.4 s later."""
    clock = [0.0]
    publisher = FeaturePublisher(store, redis, lambda: clock[0], lambda _: ZONE, lambda: own)
    for minute in range(0, 60, 5):
        ts = NOON + minute * 60
        row = {"request_rate": 10.0 + minute, "error_rate": 0.5, "cpu": minute / 60, "load": 0.25}
        known = (ts + 62) * 1000
        append(store, telemetry_of({("auth", ts): row}), source="prom", known_ms=known)
        clock[0] = ts + 62.4
        await publisher.publish(["auth"], 300, known)
