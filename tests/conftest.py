"""What the tests of several rooms share: a real Redis, patience, and an end to it."""

import faulthandler
import gc
import os
import socket
import sys
from collections.abc import AsyncIterator, Generator, Iterator

import pytest
import pytest_asyncio
from hypothesis import settings
from redis.asyncio import Redis

from settings.redis_connection import open_redis
from tests import ending
from tests.redis_server import RedisServer, running

# Two busy cores are shared with whatever else runs: how long one example takes says nothing.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


def pytest_collection_finish() -> None:
    """Let the collector pass over what stays to the end: all that the tests import."""
    gc.collect()
    gc.freeze()


# What a test that was stopped may take for its end: fixtures put things away, loops end tasks.
ENDING_SECONDS = 60
STDERR = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    """Have loops end, and keep the true end of errors: a worker has no other to say what hung."""
    ending.use_it()
    stderr = sys.__stderr__
    assert stderr is not None
    config.stash[STDERR] = os.dup(stderr.fileno())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """End the process where a test outlives its time limit; the others go on in a new one.

    One that hangs in a thread, or while its loop is closed, hears no signal.
    """
    marker = item.get_closest_marker("timeout")
    limit = float(marker.args[0] if marker else item.config.getini("timeout"))
    end_after(item.config, limit + ENDING_SECONDS)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(trylast=True)
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    """Begin again for what comes after a failure: pytest gives up waiting at each."""
    if isinstance(node, pytest.Item):
        end_after(node.config, 2 * ENDING_SECONDS)


def end_after(config: pytest.Config, seconds: float) -> None:
    faulthandler.dump_traceback_later(seconds, exit=True, file=config.stash[STDERR])


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
