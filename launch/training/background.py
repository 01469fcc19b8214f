"""Starts the training process, follows it, and ends it with the platform."""

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import ray

from deployments.forecasting.loaded_models import FORECASTERS, registered_name
from deployments.history.discovery import history
from launch.training import past
from models.forecasting.plan.model import CAPACITY_MODEL
from models.pointer import read_pointer
from models.registry import CHAMPION
from settings.environment import Settings

ENDS_WITHIN_SECONDS = 5.0
MODULE = "launch.training.forecasters"

log = logging.getLogger(__name__)


def missing(settings: Settings) -> list[str]:
    """Name the models that have no champion yet."""
    names = [CAPACITY_MODEL, *map(registered_name, FORECASTERS)]
    return [name for name in names if read_pointer(settings.paths.models, name, CHAMPION) is None]


class ForecasterTraining:
    """One run of the training process."""

    def __init__(self, settings: Settings, scratch: Path) -> None:
        self._settings = settings
        self._folder = scratch / "training"
        self._child: subprocess.Popen[str] | None = None

    def start(self, heard: Callable[[float, str], None], over: Callable[[int], None]) -> None:
        """Hand the history over and begin; `over` is told the exit code."""
        self._folder.mkdir(exist_ok=True)
        days = self._settings.history_days
        actor = history()
        hours, minutes = ray.get([actor.hours.remote(days), actor.worker_minutes.remote(days)])
        past.write(self._folder, hours, minutes)
        errors = (self._settings.paths.logs / "training.log").open("a")
        with errors:
            self._child = subprocess.Popen(
                [sys.executable, "-m", MODULE, str(self._folder)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        threading.Thread(target=self._follow, args=(heard, over), daemon=True).start()

    def stop(self) -> None:
        if self._child is None:
            return
        self._child.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(ENDS_WITHIN_SECONDS)
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait()

    def _follow(self, heard: Callable[[float, str], None], over: Callable[[int], None]) -> None:
        child = self._child
        if child is None or child.stdout is None:
            return
        with child.stdout as lines:
            for line in lines:
                with suppress(ValueError, KeyError):  # a library's own word
                    said = json.loads(line)
                    heard(float(said["share"]), str(said["what"]))
        over(child.wait())
