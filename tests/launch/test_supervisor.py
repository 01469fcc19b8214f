"""The supervisor with a real Redis, real signals and real processes; only Ray is left out."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from deployments.runtime.platform_health import PartHealth, PlatformHealth, read_health
from launch import own_processes, ray_logs
from launch.run_record import Run, RunRecord
from launch.supervisor import MOST_RESTARTS
from settings.redis_connection import open_redis
from tests.launch.small_driver import DASHBOARD, FAILURE, STEP
from tests.ports import any_free_port
from tests.stopping import stop
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 90.0


class Platform:
    """One `ballast up`, and what can be seen of it."""

    def __init__(self, home: Path, **variables: str) -> None:
        self.home = home
        self.output = home.with_suffix(".log")
        given = {
            "BALLAST_HOME": str(home),
            "BALLAST_PORT": str(any_free_port()),
            "BALLAST_FORKED_WORKERS": "False",
            "PYTHONPATH": str(ROOT),
        }
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.launch.small_platform", "up"],
                cwd=ROOT,
                env=os.environ | given | variables,
                stdout=out,
                stderr=out,
            )

    @property
    def said(self) -> str:
        return self.output.read_text()

    @property
    def run(self) -> Run:
        found = RunRecord(self.home).read()
        assert found is not None, self.said
        return found

    def health(self) -> PlatformHealth | None:
        async def current_health() -> PlatformHealth | None:
            redis = open_redis(f"unix://{self.home}/redis/redis.sock")
            try:
                return await read_health(redis, time.time())
            finally:
                await redis.aclose()

        return asyncio.run(current_health())

    def part(self, name: str) -> PartHealth | None:
        found = self.health()
        parts = [] if found is None else found.parts
        return next((each for each in parts if each.name == name), None)

    def pid(self, name: str) -> int:
        found = self.part(name)
        assert found is not None, self.said
        return found.pid

    def replaced(self, name: str, pid: int) -> bool:
        found = self.part(name)
        return found is not None and found.state == "running" and found.pid != pid

    def is_in(self, name: str, state: str) -> bool:
        found = self.part(name)
        return found is not None and found.state == state

    def ready(self) -> bool:
        assert self.process.poll() is None, self.said
        found = self.health()
        return found is not None and found.state in ("ready", "impaired") and bool(found.parts[3:])


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bl") as folder:
        yield Path(folder) / "home"


@pytest.fixture
def platform(home: Path) -> Iterator[Platform]:
    platform = Platform(home)
    try:
        wait_until(platform.ready)
        yield platform
    finally:
        with suppress(ProcessLookupError):
            platform.process.send_signal(signal.SIGINT)
        platform.process.wait(PATIENCE_SECONDS)


def ballast(home: Path, command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "launch.cli", command],
        cwd=ROOT,
        env=os.environ | {"BALLAST_HOME": str(home), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def status(home: Path) -> "subprocess.CompletedProcess[str]":
    return ballast(home, "status")


def test_the_greeting_says_what_became_of_the_prometheus_that_the_environment_names(
    home: Path,
) -> None:
    url = f"http://127.0.0.1:{any_free_port()}"
    platform = Platform(home, PROMETHEUS_URL=url)
    try:
        wait_until(lambda: "Try it:" in platform.said)
    finally:
        platform.process.send_signal(signal.SIGINT)
        platform.process.wait(PATIENCE_SECONDS)
    assert "PROMETHEUS_URL was not connected: " in platform.said
    assert f"`ballast connect prometheus {url}`" in platform.said


def nothing_is_left(platform: Platform, run: Run) -> None:
    assert own_processes.marked(run.token) == []
    assert not Path(run.scratch).exists()
    assert list((platform.home / "run").iterdir()) == []  # neither a record nor a lock


def test_a_killed_control_store_is_replaced_in_place(platform: Platform) -> None:
    store, raylet = platform.pid("gcs_server"), platform.pid("raylet")
    os.kill(store, signal.SIGKILL)
    wait_until(lambda: platform.replaced("gcs_server", store))
    assert platform.pid("raylet") == raylet
    assert "gcs_server ended and was started again" in platform.said


@pytest.mark.parametrize("part", ["raylet", "driver"])
def test_a_lost_cluster_is_started_again_beside_the_same_redis(
    platform: Platform, part: str
) -> None:
    front, redis, lost = platform.pid("front"), platform.pid("redis"), platform.pid(part)
    os.kill(lost, signal.SIGKILL)
    wait_until(lambda: platform.replaced(part, lost))
    wait_until(lambda: "Ballast answers again" in platform.said)
    assert "The Ray cluster was lost" in platform.said
    assert f"(1 of {MOST_RESTARTS} in 10 minutes)" in platform.said
    assert platform.pid("redis") == redis
    marked = own_processes.marked(platform.run.token)
    assert lost not in marked
    assert platform.pid("front") == front
    # Those of the front, redis, driver, and its two: the first ones were cleared away.
    assert len(marked) == 6


def test_it_gives_up_with_a_sentence_and_leaves_nothing(platform: Platform) -> None:
    run = platform.run
    for _ in range(MOST_RESTARTS + 1):
        lost = platform.pid("raylet")
        os.kill(lost, signal.SIGKILL)
        wait_until(
            lambda lost=lost: (  # type: ignore[misc] # the default binds it in this round
                platform.process.poll() is not None or platform.replaced("raylet", lost)
            )
        )
    assert platform.process.wait(PATIENCE_SECONDS) == 1
    assert "The Ray cluster was lost again (raylet ended)" in platform.said
    assert "Traceback" not in platform.said
    nothing_is_left(platform, run)


def test_who_is_short_of_cpus_is_told_in_the_terminal_and_to_all(platform: Platform) -> None:
    sentence = "tail: 1 of 3 replicas run; 2 wait for a CPU"
    wait_until(lambda: sentence in platform.said)

    def told() -> bool:
        found = platform.health()
        return found is not None and (found.state, found.problems) == ("impaired", [sentence])

    wait_until(told)  # the terminal hears of it a moment before all others


def test_a_driver_that_hangs_is_told_of(platform: Platform) -> None:
    driver = platform.pid("driver")
    wait_until(lambda: "tail: 1 of 3" in platform.said)
    stop(driver)
    try:
        wait_until(lambda: platform.is_in("driver", "silent"))
        wait_until(lambda: "the driver has reported nothing for" in platform.said)
    finally:
        os.kill(driver, signal.SIGCONT)
    wait_until(lambda: platform.is_in("driver", "running"))
    assert platform.pid("driver") == driver


def test_ctrl_c_ends_all_of_it(platform: Platform) -> None:
    run = platform.run
    platform.process.send_signal(signal.SIGINT)
    assert platform.process.wait(PATIENCE_SECONDS) == 0, platform.said
    nothing_is_left(platform, run)


def test_a_driver_that_cannot_start_is_heard(home: Path) -> None:
    platform = Platform(home, **{FAILURE: "Serve could not deploy serve_config.yaml."})
    assert platform.process.wait(PATIENCE_SECONDS) == 1
    assert "Serve could not deploy serve_config.yaml." in platform.said
    assert platform.said.count("trying again") == 2  # a busy machine is too slow at times
    # The folder in which Ray wrote them is gone; what the messages name is there.
    assert (ray_logs.kept_folder(home / "logs") / "gcs_server.out").read_text() == "why it failed"
    assert "Traceback" not in platform.said
    assert RunRecord(home).read() is None


def test_status_says_at_which_step_a_start_is(home: Path) -> None:
    platform = Platform(home, **{STEP: "Deployments"})
    shown = [""]

    def is_at_the_step() -> bool:
        shown[0] = status(home).stdout
        return shown[0].startswith("starting: step Deployments for ")

    try:
        wait_until(is_at_the_step)
        assert re.match(rf"\S+ step Deployments for \d+ s  process {platform.run.pid} ", shown[0])
    finally:
        platform.process.send_signal(signal.SIGINT)
        platform.process.wait(PATIENCE_SECONDS)


def test_a_run_that_is_ready_is_at_no_step(platform: Platform) -> None:
    wait_until(lambda: platform.run.ready)
    assert (platform.run.step, platform.run.step_since) == ("", 0.0)
    assert platform.run.dashboard == DASHBOARD  # where Ray has put it


def test_a_killed_supervisor_is_told_by_status(platform: Platform) -> None:
    run = platform.run
    platform.process.kill()
    platform.process.wait()
    told = status(platform.home)
    assert told.returncode == 1
    assert "`ballast up` was killed" in told.stderr
    assert ballast(platform.home, "down").returncode == 0
    nothing_is_left(platform, run)
