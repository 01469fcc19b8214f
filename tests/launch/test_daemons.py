"""Real processes that are killed, stopped, and started again."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from launch import own_processes
from launch.daemons import MOST_RESTARTS, ClusterLostError, Daemons, HealthQuestion
from launch.reports import Daemon
from tests.stopping import stop
from tests.waiting import wait_until

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
SERVER = """
import sys, grpc, time
from concurrent.futures import ThreadPoolExecutor
server = grpc.server(ThreadPoolExecutor(1))
port = server.add_insecure_port("127.0.0.1:" + sys.argv[1].partition("=")[2])
server.start(); print(port, flush=True); time.sleep(60)
"""
RUN = f"a-test-of-daemons-{os.getpid()}"


@pytest.fixture(autouse=True)
def marked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(own_processes.TOKEN, RUN)
    yield
    own_processes.end(RUN, patience_s=0)


def daemon(name: str, process: "subprocess.Popen[str]", port: int | None = None) -> Daemon:
    started = own_processes.started_at(process.pid)
    assert started is not None
    return Daemon(name=name, pid=process.pid, started=started, port=port, must_live=True)


def sleeper(name: str) -> tuple[Daemon, "subprocess.Popen[str]"]:
    process = subprocess.Popen(SLEEP, text=True)
    return daemon(name, process), process


def kill(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait()


def asked_anew(port: int) -> bool:
    question = HealthQuestion(port)
    try:
        return question.answered()
    finally:
        question.close()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watched(clock: Clock) -> Iterator[Callable[[Daemon, list[str]], Daemons]]:
    made: list[Daemons] = []

    def watch(daemon: Daemon, said: list[str]) -> Daemons:
        made.append(Daemons([daemon], clock, said.append))
        return made[-1]

    yield watch
    for each in made:
        each.end()


Watch = Callable[[Daemon, list[str]], Daemons]


def test_one_that_was_killed_is_started_again_as_it_was(watched: Watch) -> None:
    (told, process), said = sleeper("gcs_server"), list[str]()
    daemons = watched(told, said)
    daemons.tend()
    assert said == []
    kill(process)
    assert daemons.problems() == {"gcs_server": "gcs_server ended"}
    daemons.tend()
    (health,) = daemons.health()
    assert (health.state, health.restarts) == ("running", 1)
    # In the moment in which a process becomes its program, nobody can read its environment.
    wait_until(lambda: health.pid in own_processes.marked(RUN))
    assert "gcs_server ended and was started again" in said[0]


def test_without_its_raylet_the_cluster_is_lost(watched: Watch) -> None:
    told, process = sleeper("raylet")
    daemons = watched(told, [])
    kill(process)
    with pytest.raises(ClusterLostError, match="raylet ended"):
        daemons.tend()


def test_one_that_ended_before_it_was_watched_is_a_lost_cluster(watched: Watch) -> None:
    told, process = sleeper("gcs_server")
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and its number still there
    with pytest.raises(ClusterLostError, match="ended before it could be watched"):
        watched(told, [])
    process.wait()
    with pytest.raises(ClusterLostError, match="ended before it could be watched"):
        watched(told, [])


def test_one_that_dies_again_and_again_is_given_up(watched: Watch) -> None:
    told, process = sleeper("gcs_server")
    daemons = watched(told, [])
    kill(process)
    for _ in range(MOST_RESTARTS):
        daemons.tend()
        os.kill(daemons.health()[0].pid, signal.SIGKILL)
        wait_until(lambda: daemons.health()[0].state == "ended")
    with pytest.raises(ClusterLostError, match="gcs_server ended"):
        daemons.tend()


def test_one_that_hangs_is_told_of_and_in_the_end_killed(watched: Watch, clock: Clock) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [sys.executable, "-c", SERVER, f"--gcs_server_port={port}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert int(process.stdout.readline()) == port
    process.stdout.close()
    daemons = watched(daemon("gcs_server", process, port), [])
    clock.now = 5.0

    def well() -> bool:
        daemons.probe()
        return not daemons.problems()

    def restarted() -> bool:
        daemons.tend()
        return daemons.health()[0].restarts == 1

    wait_until(well)
    stop(process.pid)
    clock.now = 9.0
    daemons.probe()
    assert daemons.problems() == {"gcs_server": "gcs_server has not answered for 4 s"}
    daemons.tend()  # it may only be slow
    assert process.poll() is None
    clock.now = 40.0
    daemons.tend()
    assert process.wait(60) == -signal.SIGKILL
    wait_until(restarted)
    wait_until(lambda: asked_anew(port))  # on the port that the others know
    wait_until(well)  # over a connection of its own: that to its predecessor is gone
