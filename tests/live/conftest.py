"""The platform, started once for the whole live suite, as a user would start it."""

import json
import os
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.launch import own_processes
from deployments.launch.run_record import Run, RunRecord

ROOT = Path(__file__).parents[2]
BALLAST = ROOT / ".venv/bin/ballast"
# Enough for a week of baselines and a fortnight to learn from; the whole sixty days take longer.
HISTORY_DAYS = "21"


@dataclass(frozen=True, slots=True)
class Live:
    """A running platform and what a client needs to know of it."""

    url: str
    key: str
    home: Path
    greeting: str
    started_in: float

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(
            base_url=self.url, headers={"X-API-Key": self.key}, timeout=30, **options
        )

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return command(self.home, self.url, *arguments)

    @property
    def run(self) -> Run:
        run = RunRecord(self.home).read()
        assert run is not None
        return run

    def pids(self, title: str) -> list[int]:
        """Name this run's processes whose command line holds the title."""
        return [pid for pid in own_processes.marked(self.run.token) if title in cmdline(pid)]

    @property
    def redis(self) -> str:
        return str(self.home / "redis" / "redis.sock")


def command(home: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BALLAST), *arguments],
        cwd=ROOT,
        env=environment(home, url),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def environment(home: Path, url: str) -> dict[str, str]:
    port = url.rpartition(":")[2]
    return os.environ | {
        "BALLAST_HOME": str(home),
        "BALLAST_PORT": port,
        "BALLAST_HISTORY_DAYS": HISTORY_DAYS,
    }


def cmdline(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(what: Callable[[], bool], within_s: float) -> float:
    """Wait until it is so; tell how long it took."""
    started = time.monotonic()
    while not what():
        if time.monotonic() - started > within_s:
            raise AssertionError(f"still not so after {within_s} s")
        time.sleep(0.02)
    return time.monotonic() - started


@pytest.fixture(scope="session")
def live() -> Iterator[Live]:
    with tempfile.TemporaryDirectory(prefix="ballast-live-") as folder:
        home = Path(folder) / "home"
        url = f"http://127.0.0.1:{free_port()}"
        started = time.monotonic()
        try:
            up = command(home, url, "up", "--detach")
            assert up.returncode == 0, up.stdout + up.stderr
            took = time.monotonic() - started
            key = (home / "admin.key").read_text().strip()
            yield Live(url, key, home, up.stdout, took)
        finally:
            command(home, url, "down")


@pytest.fixture
def client(live: Live) -> Iterator[httpx.Client]:
    with live.client() as client:
        yield client


@pytest.fixture(scope="session")
def curl_line(live: Live) -> str:
    found = re.search(r"^\s*(curl .*)$", live.greeting, re.MULTILINE)
    assert found is not None, live.greeting
    return found[1]


def answer_of(client: httpx.Client, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/models/tail-slo", content=json.dumps(body))
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content
