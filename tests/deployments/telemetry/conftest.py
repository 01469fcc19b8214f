"""A real store in a folder, and what a source gives."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from features.telemetry.tables import create_measurements
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.schema import create_tables
from tests.deployments.telemetry.posting import a_minute
from tests.deployments.telemetry.running import Running


@pytest.fixture(autouse=True)
def _another_minute() -> None:
    """Let each test begin with a minute of its own."""
    a_minute.cache_clear()


@pytest.fixture
def measured(tmp_path: Path) -> Iterator[EmbeddedClickhouse]:
    """Give a store with its tables, and nothing in them."""
    with EmbeddedClickhouse(tmp_path / "measured") as store:
        create_tables(store)
        create_measurements(store)
        yield store


@pytest.fixture
async def running(
    measured: EmbeddedClickhouse,
    redis: Redis,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Running]:
    """Give a service that follows what a test activates."""
    monkeypatch.setenv("BALLAST_HOME", str(tmp_path))
    monkeypatch.setenv("BALLAST_HISTORY_DAYS", "1")
    running = Running(measured, redis)
    await running.service.start()
    yield running
    await running.end()
