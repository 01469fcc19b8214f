"""What was trained is on the timeline; a Redis that is away keeps nothing from being trained."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from launch.training.noting import note_trained
from models.model_version import ModelVersion
from observability.timeline.event import Event, read_event
from observability.timeline.stream import TimelineStream
from settings.environment import Settings
from settings.redis_connection import open_redis
from tests.redis_server import RedisServer

VERSION = ModelVersion("tail/slo", "1.1.0", Path("none"), datetime(2026, 3, 2, tzinfo=UTC))


def noted(url: str) -> list[Event]:
    async def read() -> list[Event]:
        async with open_redis(url) as redis:
            return [read_event(each.data) for each in await TimelineStream(redis).read(10)]

    return asyncio.run(read())


def test_it_is_noted_once(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    note_trained(Settings(), VERSION)
    (event,) = noted(redis_server.url)
    assert event.summary == "The model tail/slo was trained; its new version is 1.1.0"


def test_without_redis_nothing_is_noted_and_nothing_raised(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REDIS_URL", f"unix://{tmp_path}/nobody.sock")
    note_trained(Settings(), VERSION)
