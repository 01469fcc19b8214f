"""Signals, on real processes of a run that is made up."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.chaos.processes import absent, census, strike
from benchmarks.chaos.schedule import Action, Fault
from benchmarks.chaos.targets import TARGETS
from benchmarks.platform import Platform, eventually
from launch.own_processes import TOKEN
from launch.run_record import Run, RunRecord

Begin = Callable[[str], subprocess.Popen[bytes]]


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    (tmp_path / "run").mkdir()
    run = Run(f"chaos-test-{os.getpid()}", os.getpid(), 0.0, "", str(tmp_path))
    RunRecord(tmp_path).write(run)
    return Platform(tmp_path, "http://127.0.0.1:1")


@pytest.fixture
def begin(platform: Platform) -> Iterator[Begin]:
    """Start a process of the run under any name; it sleeps."""
    begun: list[subprocess.Popen[bytes]] = []
    sleep = shutil.which("sleep")
    assert sleep is not None

    def start(title: str) -> subprocess.Popen[bytes]:
        environment = os.environ | {TOKEN: platform.run.token}
        begun.append(subprocess.Popen([title, "600"], executable=sleep, env=environment))
        eventually(lambda: begun[-1].pid in platform.pids(title))
        return begun[-1]

    yield start
    for each in begun:
        each.kill()
        each.wait()


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_every_kind_is_told_from_the_others(begin: Begin, platform: Platform) -> None:
    begun = {target.name: begin(target.title).pid for target in TARGETS}
    assert census(platform) == {name: [pid] for name, pid in begun.items()}


async def test_a_kill_ends_the_process_that_was_chosen(begin: Begin, platform: Platform) -> None:
    first, second = (begin("redis-server") for _ in range(2))
    struck = await strike(platform, Fault("redis", Action.KILL, 0.0, 0.9))
    assert struck.pid == max(first.pid, second.pid)
    victim, other = sorted((first, second), key=lambda each: -each.pid)
    assert victim.wait() == -signal.SIGKILL
    assert other.poll() is None


async def test_a_stop_lasts_and_ends(begin: Begin, platform: Platform) -> None:
    process = begin("redis-server")
    seen: list[str] = []
    fault = Fault("redis", Action.STOP, 0.3, 0.0)
    striking = asyncio.create_task(strike(platform, fault))
    while not striking.done():
        seen.append(state(process.pid))
        await asyncio.sleep(0.01)
    assert "T" in seen
    eventually(lambda: state(process.pid) == "S")


async def test_what_is_not_there_is_not_struck(platform: Platform) -> None:
    assert (await strike(platform, Fault("redis", Action.KILL, 0.0, 0.5))).pid is None


def test_nothing_runs_without_a_record(tmp_path: Path) -> None:
    assert not any(census(Platform(tmp_path, "http://127.0.0.1:1")).values())


def test_a_kind_with_fewer_processes_than_before_is_absent_unless_it_is_minor() -> None:
    before = {"redis": [1], "tail": [2, 3], "helper": [4]}
    assert absent(before, {"redis": [9], "tail": [2, 8], "helper": []}) == []
    assert absent(before, {"redis": [], "tail": [2], "helper": [4]}) == ["redis", "tail"]


def test_a_haproxy_that_ends_with_its_last_connection_is_not_missed() -> None:
    before = {"haproxy": [1, 2]}  # the census fell into a change of servers
    assert absent(before, {"haproxy": [2]}) == []
    assert absent(before, {"haproxy": []}) == ["haproxy"]
