"""A real zygote and real stand-ins: processes started as Ray starts its workers."""

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from launch.cluster import STARTUP
from launch.zygote.fork_check import worker_script
from launch.zygote.order import SOCKET, own_order, send
from launch.zygote.spawn import ZygoteProcess
from tests.stopping import stop

# A worker of Ray's that only says what it takes, which importing Ray comes before.
COMMAND = [sys.executable, worker_script(), "--help"]
READY_SECONDS = 60.0


def started(
    variables: dict[str, str], *command: str
) -> tuple[subprocess.CompletedProcess[str], float]:
    """Run a worker; tell how much of a processor the process that was started used itself."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command or COMMAND, env=variables, capture_output=True, text=True, check=False, timeout=60
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.fixture(scope="module")
def plain() -> dict[str, str]:
    given = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return given | {"RAY_AUTH_MODE": "token", "PYTHONPATH": str(STARTUP)}


@pytest.fixture(scope="module")
def worker_seconds(plain: dict[str, str]) -> float:
    """Give what a worker takes that is not forked; tests hold a forked one to a third of it."""
    return min(started(plain)[1] for _ in range(3))


@pytest.fixture(scope="module")
def zygote(
    tmp_path_factory: pytest.TempPathFactory, plain: dict[str, str]
) -> Iterator[ZygoteProcess]:
    process = ZygoteProcess(tmp_path_factory.mktemp("zygote"))
    process.start(plain)
    yield process
    process.stop()


@pytest.fixture(scope="module")
def forking(zygote: ZygoteProcess, plain: dict[str, str], worker_seconds: float) -> dict[str, str]:
    """Give the variables of a worker, once the zygote has imported what it needs."""
    variables = plain | {SOCKET: str(zygote.socket_path)}
    deadline = time.monotonic() + READY_SECONDS
    while started(variables)[1] > worker_seconds / 3:
        assert time.monotonic() < deadline, zygote.log.read_text()
    return variables


def test_a_fork_does_what_the_worker_would_have_done(
    forking: dict[str, str], plain: dict[str, str]
) -> None:
    forked, seconds = started(forking)
    alone, alone_seconds = started(plain)
    assert (forked.returncode, forked.stdout, forked.stderr) == (0, alone.stdout, alone.stderr)
    assert seconds < alone_seconds / 3


def test_how_it_ended_is_how_the_process_ends(forking: dict[str, str]) -> None:
    done, _ = started(forking, *COMMAND[:2], "--no-such-option")
    assert done.returncode == 2
    assert "required: --cluster-id" in done.stderr


@pytest.mark.parametrize(
    "unlike",
    [{"PYTHONPATH": f"{STARTUP}:/elsewhere"}, {SOCKET: "/nowhere/zygote.sock"}],
    ids=["another path to import from", "no zygote"],
)
def test_what_does_not_suit_starts_as_ray_starts_it(
    forking: dict[str, str], worker_seconds: float, unlike: dict[str, str]
) -> None:
    done, seconds = started(forking | unlike)
    assert done.returncode == 0
    assert seconds > worker_seconds / 2


def test_one_that_is_declined_and_gone_by_then_ends_nothing(
    zygote: ZygoteProcess, forking: dict[str, str], worker_seconds: float
) -> None:
    pid = zygote.pid
    stop(pid)  # so that it looks when they are gone
    for _ in range(3):
        with socket.socket(socket.AF_UNIX) as gone:
            gone.connect(str(zygote.socket_path))
            send(gone, own_order([sys.executable, "-c", "pass"]))
    os.kill(pid, signal.SIGCONT)
    assert started(forking)[0].returncode == 0
    assert zygote.pid == pid, zygote.log.read_text()
    assert started(forking)[1] < worker_seconds / 3  # it is that zygote which forks


def test_programs_that_are_no_workers_are_left_alone(forking: dict[str, str]) -> None:
    done, _ = started(forking, sys.executable, "-c", "print('as usual')")
    assert (done.returncode, done.stdout) == (0, "as usual\n")


@pytest.mark.parametrize("hung", [False, True], ids=["killed", "hung, then killed"])
def test_a_killed_zygote_is_begun_anew_and_forks_again(
    zygote: ZygoteProcess, forking: dict[str, str], worker_seconds: float, hung: bool
) -> None:
    killed = zygote.pid
    if hung:
        stop(killed)
    os.kill(killed, signal.SIGKILL)
    deadline = time.monotonic() + READY_SECONDS
    while zygote.pid == killed or started(forking)[1] > worker_seconds / 3:
        assert time.monotonic() < deadline, zygote.log.read_text()
        time.sleep(0.05)


def test_a_zygote_ends_with_whoever_began_it(tmp_path: Path, plain: dict[str, str]) -> None:
    code = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from launch.zygote.spawn import ZygoteProcess\n"
        "zygote = ZygoteProcess(Path(sys.argv[1])); zygote.start(os.environ)\n"
        "print(zygote.pid, flush=True); time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], env=plain, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + READY_SECONDS
    while Path(f"/proc/{pid}/exe").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}/exe").exists()
