from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from tests.redis_server import RedisServer, running


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with running() as found:
        yield found


@pytest.fixture
async def redis(server: RedisServer) -> AsyncIterator[Redis]:
    client = server.client()
    yield client
    await client.aclose()
