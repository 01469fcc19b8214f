"""What the tests of several rooms share: a real Redis, and patience."""

import gc
import socket
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from hypothesis import settings
from redis.asyncio import Redis

from settings.redis_connection import open_redis
from tests.redis_server import RedisServer, running

# Two busy cores are shared with whatever else runs: how long one example takes says nothing.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


def pytest_collection_finish() -> None:
    """Let the collector pass over what stays to the end: all that the tests import."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    with running() as server:
        yield server


@pytest.fixture
def tcp_redis_server() -> Iterator[RedisServer]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    with running(port) as server:
        yield server


@pytest_asyncio.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    """Give the client that the platform itself uses."""
    client = open_redis(redis_server.url)
    try:
        yield client
    finally:
        await client.aclose()
