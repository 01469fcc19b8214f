"""A client that waits as long as it takes, whatever else the machine does."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from tests.config_store.steering.people import own_time
from tests.redis_server import RedisServer


@pytest.fixture(autouse=True)
def _own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let changes have these tests' time, which is not that of Redis."""
    monkeypatch.setattr("config_store.steering.times.stamp", own_time)


@pytest_asyncio.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    client = redis_server.patient_client()
    try:
        yield client
    finally:
        await client.aclose()
