"""What the supervisor says of itself, over a real Redis."""

import time
from pathlib import Path

import pytest

from deployments.runtime.platform_health import PlatformHealth, health_name
from launch import health_publisher
from launch.health_publisher import HealthPublisher
from settings.environment import Settings
from tests.redis_server import running
from tests.waiting import until


async def test_a_health_that_cannot_be_told_once_is_told_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_publisher, "WRITTEN_EVERY_SECONDS", 0.02)
    asked = []

    def health() -> PlatformHealth:
        asked.append(1)
        if len(asked) == 1:
            raise RuntimeError("a list changed while it was read")
        return PlatformHealth(written=time.time(), state="ready")

    with running() as server:
        monkeypatch.setenv("REDIS_URL", server.url)
        publisher = HealthPublisher(Settings(home=tmp_path), health)
        publisher.start()
        redis = server.client()

        async def written() -> bool:
            return bool(await redis.exists(health_name(redis)))

        await until(lambda: len(asked) > 2)
        assert await written()
        publisher.stop()
        await redis.aclose()
