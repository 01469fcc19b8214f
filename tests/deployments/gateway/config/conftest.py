"""An api to change the configuration at."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.deployments.gateway.config_api import ConfigApi, config_api
from tests.redis_server import RedisServer


@pytest.fixture
async def api(redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[ConfigApi]:
    async with (
        redis_server.patient_client() as redis,
        config_api(redis, tmp_path) as api,
    ):
        yield api
