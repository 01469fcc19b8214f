"""What the history does by itself: a moved alias waits until replicas of all roles answer."""

import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis.asyncio import Redis

from config_store.alias_follower import AUTHOR
from config_store.pinning import pinned
from config_store.running import RunningVersions
from config_store.shipped import default_document
from config_store.steering.state import SteeringState
from config_store.steering.store import SteeringStore
from config_store.store import ConfigStore
from deployments.history import background as history_background
from deployments.history.background import Background
from deployments.history.opening import Opened
from deployments.history.rollout_judge import ROLES, roles_without
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.schema import create_tables
from settings.environment import Settings
from tests.config_store.test_pinning import crown
from tests.waiting import PATIENCE_SECONDS, until


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("BALLAST_HOME", str(tmp_path))
    return Settings()


@pytest.fixture
def background(
    redis: Redis, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Background]:
    monkeypatch.setattr(history_background, "ALIASES_SECONDS", 0.02)
    with EmbeddedClickhouse(tmp_path / "archive") as store:
        create_tables(store)
        yield Background(Opened(redis, store, None), settings)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Note what each look for replicas found."""
    found: list[list[str]] = []

    async def noted(running: RunningVersions) -> list[str]:
        found.append(await roles_without(running))
        return found[-1]

    monkeypatch.setattr(history_background, "roles_without", noted)
    return found


async def report(redis: Redis, *roles: str) -> None:
    """Say what replicas say every second: that they are there."""
    for role in roles:
        await RunningVersions(redis).report(f"{role}-1", role, 1, "its hash")


async def state_of(redis: Redis) -> SteeringState:
    return await SteeringStore(redis).read()


async def test_a_moved_alias_waits_for_a_replica_of_each_role_and_says_which_once(
    redis: Redis,
    settings: Settings,
    background: Background,
    looks: list[list[str]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    models = settings.paths.models
    first = pinned(default_document(), models)
    await ConfigStore(redis).bootstrap(first, "ballast up", "a fresh machine", datetime.now(UTC))
    crown(models, "1.0.0")
    caplog.set_level(logging.INFO, logger=history_background.__name__)
    background.start()
    try:
        await until(lambda: len(looks) >= 3)
        everybody = f"Moved aliases wait for replicas of {', '.join(sorted(ROLES))}"
        assert caplog.messages.count(everybody) == 1
        async with asyncio.timeout(PATIENCE_SECONDS):
            while looks[-1] != ["tail"]:
                await report(redis, *(ROLES - {"tail"}))
                await asyncio.sleep(0.01)
        await until(lambda: "Moved aliases wait for replicas of tail" in caplog.messages)
        assert (await state_of(redis)).versions.keys() == {1}
        async with asyncio.timeout(PATIENCE_SECONDS):
            while 2 not in (await state_of(redis)).versions:
                await report(redis, *ROLES)
                await asyncio.sleep(0.01)
        assert looks[-1] == []
        assert (await state_of(redis)).versions[2].author == AUTHOR
    finally:
        await background.stop()
