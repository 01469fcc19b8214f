import socket
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.speed.servers import Launch, ServerError, running
from tests.ports import any_free_port

# A server with a child that ignores SIGTERM, as a stuck worker would.
STUBBORN = """
import signal, subprocess, sys, time
child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
started = subprocess.Popen([sys.executable, "-c", child])
print(started.pid, flush=True)
time.sleep(600)
"""


def launch(tmp_path: Path, program: str, port: int) -> Launch:
    argv = [sys.executable, "-c", program]
    return Launch("stubborn", argv, {"BENCH_X": "1"}, tmp_path, port, tmp_path / "server.log")


@pytest.fixture
def free_port() -> int:
    return any_free_port()


def test_no_process_outlives_the_block(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.speed.servers.STOP_SECONDS", 0.5)
    log = tmp_path / "server.log"
    with running(launch(tmp_path, STUBBORN, free_port), lambda: bool(log.read_text().strip())):
        child = psutil.Process(int(log.read_text()))
        assert child.is_running()
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_block_that_fails_ends_the_server_too(tmp_path: Path, free_port: int) -> None:
    program = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    log = tmp_path / "server.log"
    pids = []

    def measure() -> None:
        with running(launch(tmp_path, program, free_port), lambda: bool(log.read_text().strip())):
            pids.append(int(log.read_text()))
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        measure()
    assert not psutil.pid_exists(pids[0])


def test_a_server_that_ends_while_starting_shows_its_last_words(
    tmp_path: Path, free_port: int
) -> None:
    dying = launch(tmp_path, "raise SystemExit('no model here')", free_port)
    with pytest.raises(ServerError, match="no model here"), running(dying, lambda: False):
        pytest.fail("it never was ready")


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        taken = launch(tmp_path, "", port)
        with pytest.raises(ServerError, match=str(port)), running(taken, lambda: True):
            pytest.fail("another server would have been measured")
