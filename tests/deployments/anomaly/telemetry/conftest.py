from collections.abc import Iterator

import pytest
from redis.asyncio import Redis

import deployments.history.client
from observability.clickhouse.embedded import EmbeddedClickhouse
from tests.deployments.little_history import LittleHistory


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickhouse]:
    """Open one folder for a module; a process has one open at a time."""
    with EmbeddedClickhouse(tmp_path_factory.mktemp("telemetry") / "chdb") as store:
        yield store


class Clock:
    """A time that only a test moves."""

    def __init__(self) -> None:
        self.now = 1_772_461_740.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def little_history(
    engine: EmbeddedClickhouse, redis: Redis, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> LittleHistory:
    found = LittleHistory(engine, redis, clock)
    monkeypatch.setattr(deployments.history.client, "ask", found.ask)
    return found
