import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from launch import own_processes
from tests.waiting import PATIENCE_SECONDS

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(1, flush=True)
time.sleep(60)
""",
]


def spawn(token: str, command: list[str]) -> subprocess.Popen[bytes]:
    environment = os.environ | {own_processes.TOKEN: token}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    process = spawn("another-run", SLEEP)
    yield process
    process.kill()
    process.communicate()


def test_it_ends_what_carries_the_token_and_nothing_else(other: subprocess.Popen[bytes]) -> None:
    mine = [spawn("this-run", SLEEP) for _ in range(2)]
    assert set(own_processes.marked("this-run")) == {process.pid for process in mine}
    assert own_processes.end("this-run", patience_s=60) == []
    for process in mine:
        process.communicate()
    assert own_processes.marked("this-run") == []
    assert other.poll() is None


def test_a_grandchild_is_found_after_its_parent_died() -> None:
    code = (
        "import subprocess\n"
        f"print(subprocess.Popen({SLEEP!r}, stdout=subprocess.DEVNULL).pid, flush=True)"
    )
    parent = spawn("family", [sys.executable, "-c", code])
    out, _ = parent.communicate()
    assert own_processes.marked("family") == [int(out)]
    own_processes.end("family", patience_s=60)
    assert own_processes.marked("family") == []


def test_what_does_not_listen_is_killed_and_named() -> None:
    process = spawn("deaf", STUBBORN)
    assert process.stdout is not None
    process.stdout.readline()
    assert own_processes.end("deaf", patience_s=0.3) == [process.pid]
    process.communicate()
    assert process.returncode == -9


def test_what_is_started_again_meanwhile_is_spared_too_and_nobody_waits_for_it() -> None:
    lasting, processes = spawn("again", SLEEP), list[subprocess.Popen[bytes]]()
    processes.append(lasting)
    stubborn = spawn("again", STUBBORN)
    assert stubborn.stdout is not None
    stubborn.stdout.readline()

    known = threading.Lock()

    def start_again() -> None:  # as the watchdogs of the front, the zygote and Redis do
        lasting.kill()
        lasting.wait()
        with known:  # what is started is spared from its first moment
            processes.append(spawn("again", SLEEP))

    def spared() -> list[int]:
        with known:
            return [each.pid for each in processes]

    restart = threading.Timer(0.2, start_again)
    restart.start()
    ended = threading.Thread(
        target=own_processes.end,
        args=("again", 2.0, spared),
        daemon=True,
    )
    ended.start()
    ended.join(PATIENCE_SECONDS)
    assert not ended.is_alive()
    restart.join()
    assert processes[-1].poll() is None
    assert own_processes.marked("again") == [processes[-1].pid]
    for each in (*processes, stubborn):
        each.kill()
        each.communicate()


def shows_its_program(process: subprocess.Popen[bytes]) -> None:
    """Wait until it does: in the moment in which a process becomes its program it shows none."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not Path(f"/proc/{process.pid}/cmdline").read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_program_is_known_by_itself_and_not_by_its_arguments() -> None:
    argument = f"a-file-of-{os.getpid()}"
    program = os.path.realpath(sys.executable).rpartition("/")[2]
    found = subprocess.Popen([*SLEEP, argument])
    reader = subprocess.Popen(
        ["/usr/bin/tail", "-f", "/dev/null", argument], stderr=subprocess.DEVNULL
    )
    try:
        shows_its_program(found)
        shows_its_program(reader)
        assert [pid for pid, _ in own_processes.running(program, argument)] == [found.pid]
        assert [pid for pid, _ in own_processes.running("tail", argument)] == [reader.pid]
    finally:
        for process in (found, reader):
            process.kill()
            process.wait()


def test_a_recycled_process_id_is_not_believed() -> None:
    started = own_processes.started_at(os.getpid())
    assert started is not None
    assert own_processes.alive(os.getpid(), started)
    assert not own_processes.alive(os.getpid(), started + 1)


def test_a_dead_process_is_not_alive() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    # A zombie, once it is over, until it is waited for.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert own_processes.started_at(process.pid) is None
    process.wait()
