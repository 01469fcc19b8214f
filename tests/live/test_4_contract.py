"""The description and the platform, held against each other by a fuzzer."""

import subprocess
from pathlib import Path

import pytest

from tests.effort import tries
from tests.live.conftest import ROOT, Live

pytestmark = [pytest.mark.live, pytest.mark.timeout(1800)]

# Server-sent events stay open for as long as they promise, half a minute each: test_5 asks them.
LISTENING = "/events$"


# Python 3.11's parser of sources counts its depth wrongly when two threads use it at once (see
# https://github.com/python/cpython/issues/106905): that is the fuzzer's own trouble, and passes.
FUZZERS_TROUBLE = "AST constructor recursion depth mismatch"


@pytest.mark.usefixtures("patient")
def test_a_fuzz_of_the_description_finds_nothing(live: Live, tmp_path: Path) -> None:
    for _ in range(3):
        done = fuzz(live, tmp_path)
        if "= FAILURES =" in done.stdout or FUZZERS_TROUBLE not in done.stdout:
            break
    assert done.returncode == 0, found(done.stdout) + done.stderr[-2000:]


def fuzz(live: Live, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
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
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=1700,
    )


def found(report: str) -> str:
    """Give what the fuzzer found wrong, which stands before pages of advice, and its last lines."""
    begin = max(report.find("= FAILURES ="), report.find("= ERRORS ="), 0)
    return f"{report[begin : begin + 8000]}\n...\n{report[-1500:]}"
