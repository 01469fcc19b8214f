"""A history's store and definitions, whose clock a test turns."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from redis.asyncio import Redis

from config_store.document import FeatureConfig
from config_store.sources import EntityFacts
from deployments.definitions.in_force import Decided, definitions_key
from deployments.definitions.service import DefinitionsService
from deployments.telemetry.publishing import FeaturePublisher
from features.functions.kept import FunctionModules
from features.telemetry.columns import Telemetry
from features.telemetry.tables import append, create_measurements
from features.vectors.published import PublishedVectors
from features.vectors.reading import Features, Reading
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.schema import create_tables
from observability.timeline.store import read as read_events
from tests.measurements import telemetry_of

NOON = 1_773_144_000  # 2026-03-10 12:00 UTC
MINUTES = 75
ENTITIES = ("auth", "cards", "risk")
NOBODY = EntityFacts()
Definitions = dict[str, dict[str, Any]]


class World:
    """Definitions over stored telemetry, which a test changes and starts anew."""

    def __init__(self, store: EmbeddedClickhouse, redis: Redis, folder: Path, home: Path) -> None:
        self.store = store
        self.redis = redis
        self.folder = folder
        self.home = home
        self.now = float(NOON + MINUTES * 60)
        self.config = FeatureConfig()
        self.open()

    def open(self) -> None:
        """Start, as after a restart."""
        self.publisher = FeaturePublisher(
            self.store, self.redis, self.wall, lambda _: NOBODY, lambda: self.service.own
        )
        self.service = DefinitionsService(
            self.store,
            self.redis,
            FunctionModules(self.folder, self.home / "functions"),
            lambda _: NOBODY,
            self.publisher.publish_again,
            self.wall,
        )

    def wall(self) -> float:
        return self.now

    async def restart(self) -> None:
        await self.service.close()
        self.open()
        await self.configure()

    def module(self, text: str, name: str = "own.py") -> None:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o644)

    async def define(self, definitions: Definitions, **fields: Any) -> None:
        """Activate definitions, and wait until they are decided on."""
        found = {"definitions": definitions, "function_seconds": 60.0, **fields}
        self.config = FeatureConfig.model_validate(found)
        await self.configure()

    async def configure(self) -> None:
        self.service.want(self.config)
        await self.decide()

    async def decide(self) -> None:
        for _ in range(2):
            await self.service.step()

    async def decided(self) -> Decided:
        """Read what gateways are told."""
        stored: Any = await self.redis.get(definitions_key(self.redis))
        found = Decided.read(stored)
        assert found is not None
        return found

    async def publish(self) -> None:
        await self.publisher.publish(ENTITIES, 60)

    async def served(self, *names: str) -> Features:
        """Read features as gateways do."""
        reading = Reading(self.service.catalogue(self.config), names)
        stored = await PublishedVectors(self.redis).read(ENTITIES)
        return reading.read(stored, self.now)

    async def values(self, name: str) -> list[float]:
        found: list[float] = (await self.served(name)).values[:, 0].tolist()
        return found

    def events(self, kind: Any) -> list[str]:
        return [str(each["summary"]) for each in read_events(self.store, 20, kinds=[kind]).events]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickhouse]:
    """Open one folder for a module; a process has one open at a time."""
    with EmbeddedClickhouse(tmp_path_factory.mktemp("definitions") / "history") as store:
        create_tables(store)
        create_measurements(store)
        yield store


@pytest.fixture
async def world(engine: EmbeddedClickhouse, tmp_path: Path, redis: Redis) -> AsyncIterator[World]:
    folder = tmp_path / "modules"
    folder.mkdir(mode=0o755)
    for table in ("measurements", "publications", "timeline"):
        engine.execute(f"TRUNCATE TABLE {table}")
    append(engine, _telemetry(), source="a", known_ms=NOON * 1000)
    world = World(engine, redis, folder, tmp_path)
    yield world
    await world.service.close()


def _telemetry() -> Telemetry:
    """Make up an hour; an interval counts from its own time on, so all may be known at once."""
    random = np.random.default_rng(0)
    return telemetry_of(
        {
            (entity, NOON + minute * 60): {
                "load": 0.5 + place / 10 + random.uniform(0, 0.1),
                "error_rate": random.uniform(0.01, 0.02),
                "request_rate": 100.0 + minute % 7,
                "active_workers": 4.0,
            }
            for minute in range(MINUTES - 1)
            for place, entity in enumerate(ENTITIES)
        }
    )
