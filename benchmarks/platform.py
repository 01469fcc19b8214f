"""A platform of one's own: started, asked, looked into and ended, as a user would do it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deployments.forecasting.loaded_models import FORECASTERS, registered_name
from launch import own_processes
from launch.run_record import Run, RunRecord
from models.forecasting.plan.model import CAPACITY_MODEL
from models.pointer import read_pointer
from models.registry import CHAMPION

ROOT = Path(__file__).parents[1]
BALLAST = Path(sys.prefix) / "bin" / "ballast"
# Enough for a week of baselines and a fortnight to learn from; the whole sixty days take longer.
HISTORY_DAYS = 21
COMMAND_SECONDS = 900.0
# How long something may take is not what is asked: a busy machine takes ten times as long.
PATIENCE_SECONDS = 120.0


class NotRunningError(Exception):
    """The platform that was started here has no record of a run any more."""


@dataclass(frozen=True, slots=True)
class Platform:
    """A home and a port; what runs there is read anew each time, for it may have been restarted."""

    home: Path
    url: str
    history_days: int = HISTORY_DAYS
    profile: str = ""  # as the environment says, where it is not given

    @property
    def key(self) -> str:
        return (self.home / "admin.key").read_text().strip()

    @property
    def redis(self) -> str:
        return str(self.home / "redis" / "redis.sock")

    @property
    def run(self) -> Run:
        run = RunRecord(self.home).read()
        if run is None:
            raise NotRunningError(f"nothing runs in {self.home}")
        return run

    def runs(self) -> bool:
        """Tell whether the process that keeps everything up is alive."""
        run = RunRecord(self.home).read()
        return run is not None and own_processes.alive(run.pid, run.started)

    def up(self) -> subprocess.CompletedProcess[str]:
        return self.command("up", "--detach")

    def down(self) -> subprocess.CompletedProcess[str]:
        return self.command("down")

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BALLAST), *arguments],
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )

    def environment(self) -> dict[str, str]:
        return os.environ | {
            "BALLAST_HOME": str(self.home),
            "BALLAST_PORT": self.url.rpartition(":")[2],
            "BALLAST_HISTORY_DAYS": str(self.history_days),
            **({"BALLAST_PROFILE": self.profile} if self.profile else {}),
        }

    def last_words(self, characters: int = 1_500) -> str:
        """Give the end of what the present run, or the one before, has said."""
        log = self.home / "logs" / "up.log"
        return log.read_text(errors="replace")[-characters:] if log.exists() else ""

    def pids(self, title: str) -> list[int]:
        """Name this run's processes whose command line holds the title."""
        return [pid for pid in own_processes.marked(self.run.token) if title in cmdline(pid)]


def cmdline(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def free_url() -> str:
    """Give an address on loopback where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def eventually(what: Callable[[], bool], within_s: float = PATIENCE_SECONDS) -> float:
    """Wait until it is so; tell how long it took."""
    started = time.monotonic()
    while not what():
        if time.monotonic() - started > within_s:
            raise AssertionError(f"still not so after {within_s} s")
        time.sleep(0.02)
    return time.monotonic() - started


def untrained(models: Path) -> list[str]:
    """Name the forecasting models that have no champion yet."""
    names = [CAPACITY_MODEL, *map(registered_name, FORECASTERS)]
    return [name for name in names if read_pointer(models, name, CHAMPION) is None]


def all_trained(models: Path, patience: float) -> bool:
    """Wait for the forecasters, which are trained beside the answers on a home's first start."""
    until = time.monotonic() + patience
    while untrained(models):
        if time.monotonic() > until:
            return False
        time.sleep(0.5)
    return True
