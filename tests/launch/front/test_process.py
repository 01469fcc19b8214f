"""Where the front begins and ends: beside `ballast up`, and by itself on a node of a cluster."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest

from launch.errors import PortTakenError
from launch.front.process import FrontProcess
from launch.own_processes import started_at
from tests.launch.front.conftest import Front, eventually, haproxies
from tests.ports import any_free_port
from tests.stopping import stop

ENDS_WITHIN_SECONDS = 20.0
LAUNCHER = """\
import sys, time
from pathlib import Path
from launch.front.process import FrontProcess
front = FrontProcess(Path(sys.argv[1]), Path(sys.argv[1]) / "front.log")
front.start("127.0.0.1", int(sys.argv[2]))
print(front.pid, flush=True)
time.sleep(600)
"""


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/").status_code == 503
    except httpx.TransportError:
        return False


def refuses(port: int) -> bool:
    try:
        httpx.get(f"http://127.0.0.1:{port}/")
    except httpx.ConnectError:
        return True
    except httpx.TransportError:
        return False
    return False


def test_it_ends_when_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    port = any_free_port()
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, str(tmp_path), str(port)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )
    with ended(launcher):
        assert launcher.stdout is not None
        watchdog = int(launcher.stdout.readline())
        eventually("it answers", lambda: answers(port))
        launcher.kill()
    eventually("the watchdog is gone", lambda: started_at(watchdog) is None)
    eventually("the port is closed", lambda: refuses(port))


def test_a_taken_port_is_said_at_once(front: Front, tmp_path: Path) -> None:
    second = FrontProcess(tmp_path, tmp_path / "front.log")
    with pytest.raises(PortTakenError, match=str(front.port)):
        second.start("127.0.0.1", front.port)
    second.stop()


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Have it end with the block, however that ends: by itself it would be waited for for ever."""
    with process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(ENDS_WITHIN_SECONDS)
            finally:
                process.kill()


def on_a_node(folder: Path, port: int) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """Start it as cluster.yaml does."""
    return ended(
        subprocess.Popen(
            [sys.executable, "-m", "launch.front"],
            env=os.environ
            | {
                "PYTHONPATH": str(Path.cwd()),
                "BALLAST_FRONT": str(folder),
                "BALLAST_PORT": str(port),
            },
            stderr=subprocess.DEVNULL,
        )
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP])
def test_on_a_node_a_second_start_takes_the_place_of_the_first(
    tmp_path: Path, number: signal.Signals
) -> None:
    port = any_free_port()
    with on_a_node(tmp_path, port) as first:
        eventually("it answers", lambda: answers(port))
        haproxy = haproxies(tmp_path)
        if number == signal.SIGKILL:
            first.kill()
        elif number == signal.SIGSTOP:
            stop(first.pid)
        with on_a_node(tmp_path, port) as second:
            first.wait(60)
            eventually("it has its own HAProxy", lambda: haproxies(tmp_path) not in ([], haproxy))
            eventually("the second one answers", lambda: answers(port))
            second.terminate()
    eventually("the port is closed", lambda: refuses(port))
