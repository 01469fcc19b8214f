"""Starts the platform in the background, and shows how far its start is until it is ready."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from launch.errors import LaunchError
from launch.private_files import close_to_others
from launch.run_record import RunRecord
from settings.environment import Settings

READY_WITHIN_SECONDS = 600.0
ENDS_WITHIN_SECONDS = 60.0
LOOK_SECONDS = 0.1
# True of a start in the foreground only.
ENDED_BY = "Ctrl-C ends it."


def start_detached(settings: Settings, config: Path, say: Callable[[str], object]) -> int:
    """Return 0 once it is ready, or the exit code of a start that failed.

    A Ctrl-C meanwhile ends the start, which has a session of its own and hears none.
    """
    log = settings.paths.logs / "up.log"
    child = _spawn(settings, config, log)
    shown = _Follower(log, say)
    try:
        return _wait(settings, child, shown, log)
    except BaseException:
        child.terminate()
        _await_end(child, shown)
        raise


class _Follower:
    """Gives each line of a growing file once."""

    def __init__(self, path: Path, say: Callable[[str], object]) -> None:
        self._path = path
        self._say = say
        self._at = 0

    def step(self) -> None:
        with self._path.open("rb") as file:
            file.seek(self._at)
            new = file.read()
        complete = new[: new.rfind(b"\n") + 1]
        self._at += len(complete)
        for line in complete.decode(errors="replace").splitlines():
            if line != ENDED_BY:
                self._say(line)


def _spawn(settings: Settings, config: Path, log: Path) -> subprocess.Popen[bytes]:
    close_to_others(settings.home)
    log.parent.mkdir(exist_ok=True)
    with log.open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "launch.cli", "up", "--config", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait(settings: Settings, child: subprocess.Popen[bytes], shown: _Follower, log: Path) -> int:
    record = RunRecord(settings.home)
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while time.monotonic() < deadline:
        run, code = record.read(), child.poll()
        shown.step()
        if code is not None:
            return code
        if run is not None and run.pid == child.pid and run.ready:
            return 0
        time.sleep(LOOK_SECONDS)
    raise LaunchError(f"Ballast was not ready after {READY_WITHIN_SECONDS:g} s; see {log}.")


def _await_end(child: subprocess.Popen[bytes], shown: _Follower) -> None:
    deadline = time.monotonic() + ENDS_WITHIN_SECONDS
    while child.poll() is None and time.monotonic() < deadline:
        shown.step()
        time.sleep(LOOK_SECONDS)
    if child.poll() is None:
        child.kill()
    shown.step()
