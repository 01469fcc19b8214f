"""The searcher in a real sweep of Ray Tune, whose driver is killed on the way and taken up again.

It runs in a small Ray cluster of its own.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.tune_run import SAMPLES

pytestmark = [pytest.mark.live, pytest.mark.timeout(2000)]

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 900.0


@pytest.fixture(autouse=True)
def scratch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give Ray a folder that goes with the test; a socket's path in tmp_path would be too long."""
    with tempfile.TemporaryDirectory(prefix="bt-", ignore_cleanup_errors=True) as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        yield


def sweep(folder: Path, *more: str) -> subprocess.Popen[bytes]:
    # Tune writes its state down every second, in place of every ten or more.
    environ = os.environ | {"TUNE_GLOBAL_CHECKPOINT_S": "1"}
    command = [sys.executable, "-m", "tests.cluster.tune_run", str(folder), *more]
    with (folder / f"log{''.join(more)}").open("wb") as log:
        return subprocess.Popen(
            command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=log,
            start_new_session=True,
        )  # fmt: skip


def finished(folder: Path) -> int:
    """Count the trials that have reported or failed."""
    told = [*folder.glob("sweep/trial_*/result.json"), *folder.glob("sweep/trial_*/error.txt")]
    return sum(path.stat().st_size > 0 for path in told)


def written_down(folder: Path) -> None:
    """Wait until Tune has written its state once more: it knows of the trials that ended then."""
    known, deadline = time.time(), time.monotonic() + PATIENCE_SECONDS
    while not any(path.stat().st_mtime > known for path in folder.glob("sweep/experiment_state-*")):
        assert time.monotonic() < deadline, "Tune does not write its state down"
        time.sleep(0.1)


@contextmanager
def killed_in_the_end(driver: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        if driver.poll() is None:
            os.killpg(driver.pid, signal.SIGKILL)


def test_a_sweep_whose_driver_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    with sweep(tmp_path) as driver, killed_in_the_end(driver):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while finished(tmp_path) < SAMPLES // 2:
            assert driver.poll() is None, (tmp_path / "log").read_text()[-2_000:]
            assert time.monotonic() < deadline, f"{finished(tmp_path)} trials came in time"
            time.sleep(0.2)
        written_down(tmp_path)
    assert finished(tmp_path) < SAMPLES
    with sweep(tmp_path, "restore") as again, killed_in_the_end(again):
        said, _ = again.communicate(timeout=PATIENCE_SECONDS)
    assert again.returncode == 0, (tmp_path / "logrestore").read_text()[-2_000:]
    told: dict[str, Any] = json.loads(said.splitlines()[-1])
    assert told["trials"] == SAMPLES
    assert len(told["losses"]) + told["failed"] == SAMPLES
    assert min(told["losses"]) < 1
    assert len(list(tmp_path.glob("sweep/trial_*"))) <= SAMPLES + 2, "trials were run again"
