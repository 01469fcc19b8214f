import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from observability.clickhouse.embedded import OPTIONS, EmbeddedClickhouse
from observability.errors import FolderTakenError

TABLE = "CREATE TABLE IF NOT EXISTS t (n UInt32) ENGINE = MergeTree ORDER BY n"


def test_what_was_stored_is_there_after_reopening(tmp_path: Path) -> None:
    for expected in (1, 2, 3):
        with EmbeddedClickhouse(tmp_path) as store:
            store.execute(TABLE)
            store.insert("t", {"n": [expected]})
            assert store.query("SELECT count() AS c FROM t") == [{"c": expected}]


def test_one_process_can_open_one_folder_after_the_other(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with EmbeddedClickhouse(tmp_path / name) as store:
            store.execute(TABLE)


def test_the_same_folder_cannot_be_opened_twice_in_a_process(
    embedded: EmbeddedClickhouse, tmp_path: Path
) -> None:
    with pytest.raises(FolderTakenError, match=f"is open in process {os.getpid()}"):
        EmbeddedClickhouse(tmp_path / "chdb")
    assert embedded.query("SELECT 1 AS a") == [{"a": 1}]


def test_two_folders_cannot_be_open_at_once_in_a_process(
    embedded: EmbeddedClickhouse, tmp_path: Path
) -> None:
    with pytest.raises(FolderTakenError, match="one folder at a time"):
        EmbeddedClickhouse(tmp_path / "other")
    assert embedded.query("SELECT 1 AS a") == [{"a": 1}]


OPEN = """
import pathlib, sys
from observability.clickhouse.embedded import OPTIONS, EmbeddedClickhouse
from observability.errors import FolderTakenError
try:
    store = EmbeddedClickhouse(pathlib.Path(sys.argv[1]))
except FolderTakenError as error:
    sys.exit(f"refused: {error}")
store.execute("CREATE TABLE IF NOT EXISTS t (n UInt32) ENGINE = MergeTree ORDER BY n")
store.insert("t", {"n": [1, 2, 3]})
print("stored", flush=True)
sys.stdin.read()
"""


def test_another_process_is_told_who_has_the_folder(
    embedded: EmbeddedClickhouse, tmp_path: Path
) -> None:
    second = subprocess.run(
        [sys.executable, "-c", OPEN, str(tmp_path / "chdb")],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert second.returncode != 0
    assert f"refused: {tmp_path / 'chdb'} is open in process {os.getpid()}" in second.stderr
    assert embedded.query("SELECT 1 AS a") == [{"a": 1}]


def test_kill_9_loses_no_row_of_a_finished_insert_and_frees_the_folder(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OPEN, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"stored\n"
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    with EmbeddedClickhouse(tmp_path) as store:
        assert store.query("SELECT sum(n) AS s FROM t") == [{"s": 6}]


def test_threads_may_share_it(embedded: EmbeddedClickhouse) -> None:
    embedded.execute(TABLE)
    failures: list[Exception] = []

    def work(start: int) -> None:
        try:
            for i in range(10):
                embedded.insert("t", {"n": np.arange(start + i * 100, start + i * 100 + 100)})
                embedded.query("SELECT max(n) AS m FROM t")
        except Exception as error:  # noqa: BLE001 - whatever a thread meets must reach the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(start * 1000,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert embedded.query("SELECT uniqExact(n) AS n FROM t") == [{"n": 4000}]


def test_the_engine_takes_the_options_that_it_is_opened_with(embedded: EmbeddedClickhouse) -> None:
    """One that it does not know it would pass over without a word."""
    for option in OPTIONS.split("&"):
        name, _, value = option.partition("=")
        sql = "SELECT value FROM system.server_settings WHERE name = {name:String}"
        assert embedded.query(sql, {"name": name}) == [{"value": value}]
