"""The description and the platform, held against each other by a fuzzer."""

import subprocess
from pathlib import Path

import pytest

from tests.effort import tries
from tests.live.conftest import ROOT, Live

pytestmark = [pytest.mark.live, pytest.mark.timeout(1800)]

# Server-sent events stay open for as long as they promise, half a minute each: test_5 asks them.
LISTENING = "/events$"


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
