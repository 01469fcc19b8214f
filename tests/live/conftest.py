"""The platform, started once for the whole live suite, as a user would start it."""

import json
import re
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from benchmarks.platform import (
    BALLAST,
    PATIENCE_SECONDS,
    ROOT,
    Platform,
    cmdline,
    eventually,
    free_url,
)
from config_store.shipped import PATIENT
from config_store.store import ConfigStore
from settings.redis_connection import open_redis
from tests.deploying import deployed, rolled_back

__all__ = [
    "BALLAST",
    "PATIENCE_SECONDS",
    "ROOT",
    "Live",
    "Platform",
    "answer_of",
    "answered",
    "cmdline",
    "eventually",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Live(Platform):
    """A running platform, and what was said as it started."""

    greeting: str
    started_in: float

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(
            base_url=self.url, headers={"X-API-Key": self.key}, timeout=30, **options
        )


@pytest.fixture(scope="session")
def live() -> Iterator[Live]:
    with tempfile.TemporaryDirectory(prefix="ballast-live-") as folder:
        platform = Platform(Path(folder) / "home", free_url())
        started = time.monotonic()
        try:
            up = platform.up()
            assert up.returncode == 0, up.stdout + up.stderr
            took = time.monotonic() - started
            yield Live(platform.home, platform.url, greeting=up.stdout, started_in=took)
        finally:
            platform.down()


@pytest.fixture(scope="module")
def runs_again(live: Live) -> None:
    """Start it where the tests of an earlier file ended it."""
    if not live.runs():
        up = live.up()
        assert up.returncode == 0, up.stdout + up.stderr


@pytest.fixture
def client(live: Live) -> Iterator[httpx.Client]:
    with live.client() as client:
        yield client


@pytest.fixture(scope="session")
def curl_line(live: Live) -> str:
    found = re.search(r"^\s*(curl .*)$", live.greeting, re.MULTILINE)
    assert found is not None, live.greeting
    return found[1]


@pytest_asyncio.fixture
async def patient(live: Live) -> AsyncIterator[None]:
    """Give requests ten seconds, for tests that do not ask how long an answer may take.

    On a machine of half the speed none says 503, or answers by a fallback, where this one answers.
    """
    redis = open_redis(f"unix://{live.redis}")
    active = await ConfigStore(redis).active()
    document = active.document.with_deadlines(**PATIENT.model_dump())
    await deployed(redis, document, message="no hurry")
    try:
        yield
    finally:
        await rolled_back(redis, active.number)
        await redis.aclose()


def answered(client: httpx.Client, path: str, body: Any) -> httpx.Response:
    """Ask as a client does: one that is told to come back later comes back later."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        answer = client.post(path, content=json.dumps(body))
        if answer.status_code != 503 or time.monotonic() > until:
            return answer
        time.sleep(float(answer.headers["retry-after"]))


def answer_of(
    client: httpx.Client, body: dict[str, Any], path: str = "/models/tail-slo"
) -> dict[str, Any]:
    answer = answered(client, path, body)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content
