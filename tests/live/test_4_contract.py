"""The description and the platform, held against each other by a fuzzer."""

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from config_store.connection import open_redis
from config_store.shipped import PATIENT
from config_store.store import ConfigStore
from tests.effort import tries
from tests.live.conftest import ROOT, Live

pytestmark = [pytest.mark.live, pytest.mark.timeout(1800)]

# Server-sent events stay open for as long as they promise, half a minute each: test_5 asks them.
LISTENING = "/events$"


@pytest_asyncio.fixture
async def patient(live: Live) -> AsyncIterator[None]:
    """Give requests ten seconds: a machine of half the speed must not say 503 where this says 200.

    How long an answer may take is not what the fuzz asks.
    """
    redis = open_redis(f"unix://{live.redis}")
    store = ConfigStore(redis)
    active = await store.active()
    serving = {
        name: each.model_copy(update={"deadlines": PATIENT})
        for name, each in active.document.serving.items()
    }
    document = active.document.model_copy(update={"serving": serving})
    await store.activate(await store.publish(document, "a test", "no hurry", active.created))
    try:
        yield
    finally:
        await store.activate(active.number)
        await redis.aclose()


@pytest.mark.usefixtures("patient")
def test_a_fuzz_of_the_description_finds_nothing(live: Live, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            str(ROOT / ".venv/bin/schemathesis"),
            "--config-file",
            str(Path(__file__).with_name("fuzz.toml")),
            "run",
            f"{live.url}/openapi.json",
            "--url",
            live.url,
            "--header",
            f"X-API-Key: {live.key}",
            "--max-examples",
            str(tries(25, long=100)),
            "--seed",
            "20261120",
            "--exclude-path-regex",
            LISTENING,
            "--workers",
            "2",
            "--no-color",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=1700,
    )
    assert done.returncode == 0, found(done.stdout) + done.stderr[-2000:]


def found(report: str) -> str:
    """Give what the fuzzer found wrong, which stands before pages of advice, and its last lines."""
    begin = max(report.find("= FAILURES ="), report.find("= ERRORS ="), 0)
    return f"{report[begin : begin + 8000]}\n...\n{report[-1500:]}"
