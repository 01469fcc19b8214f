import fcntl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from launch.errors import AlreadyRunningError
from launch.run_record import OwnRun, Run, RunRecord

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
        "from launch.run_record import RunRecord\n"
        "RunRecord(Path(sys.argv[1])).claim(); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    with RunRecord(tmp_path) as record:
        record.claim()


def test_what_a_killed_owner_left_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "lock").touch()
    record = RunRecord(tmp_path)
    record.write(RUN)
    record.clear()
    assert list((tmp_path / "run").iterdir()) == []


def test_what_a_new_owner_has_is_not_cleared_away(tmp_path: Path) -> None:
    with RunRecord(tmp_path) as owner:
        owner.claim()
        owner.write(RUN)
        RunRecord(tmp_path).clear()
        assert owner.read() == RUN
        with pytest.raises(AlreadyRunningError):
            RunRecord(tmp_path).claim()


def test_where_nothing_ran_there_is_nothing_to_clear(tmp_path: Path) -> None:
    RunRecord(tmp_path).clear()
    assert list(tmp_path.iterdir()) == []


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


def test_there_is_never_a_second_owner(tmp_path: Path) -> None:
    """Many claim and release at once; a lock on a file that has lost its name is no lock."""
    together, holders, overlaps = threading.Barrier(8), set[int](), list[set[int]]()

    def claim_often(me: int) -> None:
        together.wait()
        for _ in range(400):
            with RunRecord(tmp_path) as record:
                try:
                    record.claim()
                except AlreadyRunningError:
                    continue
                holders.add(me)
                if len(holders) > 1:
                    overlaps.append(set(holders))
                holders.discard(me)

    threads = [threading.Thread(target=claim_often, args=(each,)) for each in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert overlaps == []


def test_a_lock_on_a_file_that_lost_its_name_is_no_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner leaves and another comes, between a contender's opening and its locking."""
    lock = fcntl.flock
    with RunRecord(tmp_path) as first, RunRecord(tmp_path) as second, RunRecord(tmp_path) as third:
        first.claim()

        def lock_late(file: int, operation: int) -> None:
            monkeypatch.undo()
            first.release()
            third.claim()
            lock(file, operation)

        monkeypatch.setattr(fcntl, "flock", lock_late)
        with pytest.raises(AlreadyRunningError):
            second.claim()


def test_a_contender_goes_on_when_the_owner_leaves_in_the_meantime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock
    with RunRecord(tmp_path) as first, RunRecord(tmp_path) as second, RunRecord(tmp_path) as third:
        first.claim()

        def lock_late(file: int, operation: int) -> None:
            monkeypatch.undo()
            first.release()
            lock(file, operation)

        monkeypatch.setattr(fcntl, "flock", lock_late)
        second.claim()
        with pytest.raises(AlreadyRunningError):
            third.claim()


def test_a_full_disk_ends_no_run(tmp_path: Path) -> None:
    """Whoever runs goes on with an older record, and leaves no half of a new one."""
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from launch.run_record import OwnRun, Run, RunRecord\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "record = RunRecord(Path(sys.argv[1])); record.claim()\n"
        "own = OwnRun(record, Run('token', 1, 1.0, 'url', 'scratch'), lambda: 5.0)\n"
        "own.finish()\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"  # no byte can be written
        "own.enter('Ray cluster'); own.found('http://127.0.0.1:8265'); own.lose_cluster()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "cannot be written" in done.stderr
    run = RunRecord(tmp_path).read()
    assert run is not None
    assert (run.ready, run.step, run.dashboard) == (True, "", "")
    assert {each.name for each in (tmp_path / "run").iterdir()} == {"run.json", "lock"}


def test_a_lost_cluster_has_no_dashboard(tmp_path: Path) -> None:
    with RunRecord(tmp_path) as record:
        record.claim()
        own = OwnRun(record, RUN, lambda: 5.0)
        own.found("http://127.0.0.1:8266")
        own.lose_cluster()
        run = record.read()
    assert run is not None
    assert run.dashboard == ""
