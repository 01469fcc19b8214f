import subprocess
import sys
from pathlib import Path

import pytest

from deployments.launch.errors import AlreadyRunningError
from deployments.launch.run_record import Run, RunRecord

RUN = Run("token", 4711, 12.0, "http://127.0.0.1:8000", "/scratch", "http://127.0.0.1:8265")


def test_a_second_claim_names_the_first(tmp_path: Path) -> None:
    with RunRecord(tmp_path) as first, RunRecord(tmp_path) as second:
        first.claim()
        first.write(RUN)
        with pytest.raises(AlreadyRunningError, match=r"4711.*8000.*ballast down"):
            second.claim()


def test_a_released_claim_is_free_and_leaves_no_lock(tmp_path: Path) -> None:
    with RunRecord(tmp_path) as first:
        first.claim()
    assert not (tmp_path / "run" / "lock").exists()
    with RunRecord(tmp_path) as second:
        second.claim()


def test_a_killed_owner_leaves_no_claim(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path\n"
        "from deployments.launch.run_record import RunRecord\n"
        "RunRecord(Path(sys.argv[1])).claim(); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    with RunRecord(tmp_path) as record:
        record.claim()


def test_what_was_written_is_read(tmp_path: Path) -> None:
    with RunRecord(tmp_path) as record:
        record.claim()
        record.write(RUN)
        assert record.read() == RUN
        record.forget()
        assert record.read() is None


def test_a_run_of_another_release_can_still_be_ended(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text(
        '{"token": "t", "pid": 1, "started": 2.0, "url": "u", "scratch": "s", "colour": "red"}'
    )
    found = RunRecord(tmp_path).read()
    assert found is not None
    assert found.token == "t"


def test_a_record_of_another_release_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text('{"something": "else"}')
    assert RunRecord(tmp_path).read() is None
