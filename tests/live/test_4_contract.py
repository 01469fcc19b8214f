"""The description and the platform, held against each other by a fuzzer."""

import subprocess
from pathlib import Path

import pytest

from tests.live.conftest import ROOT, Live

pytestmark = [pytest.mark.live, pytest.mark.timeout(420)]

# Server-sent events stay open for as long as they promise, half a minute each: test_5 asks them.
LISTENING = "/events$"


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
            "40",
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
        timeout=400,
    )
    print(done.stdout[-6000:])  # noqa: T201 - the report is the point
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
