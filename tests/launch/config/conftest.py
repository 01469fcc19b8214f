"""A gateway's paths to the configuration, and a home for the commands that ask them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from settings.environment import Settings
from tests.deployments.gateway.config_api import ConfigApi, config_api
from tests.redis_server import RedisServer


@pytest.fixture
async def api(
    redis_server: RedisServer, settings: Settings, tmp_path: Path
) -> AsyncIterator[ConfigApi]:
    async with (
        redis_server.patient_client() as redis,
        config_api(redis, tmp_path) as api,
    ):
        settings.home.mkdir(parents=True, exist_ok=True)
        yield api
