"""One run of a training program: started, followed line by line, and ended with the platform."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from launch.training import lines

ENDS_WITHIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Outcome:
    code: int
    lacks: tuple[lines.Lack, ...]
    """Models that there was too little history for."""


class TrainingProcess:
    """Runs a module in a process of its own; `stop` may come from another thread."""

    def __init__(self, module: str, folder: Path, log_file: Path) -> None:
        """`folder` holds the history to train on, and what the program writes on the way."""
        self._module = module
        self._folder = folder
        self._log_file = log_file
        self._child: subprocess.Popen[str] | None = None
        self._stopped = False

    def run(self, heard: Callable[[float, str], None]) -> Outcome:
        """Run it to its end."""
        with self._log_file.open("a") as errors:
            child = self._child = subprocess.Popen(
                [sys.executable, "-m", self._module, str(self._folder)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        if self._stopped:  # before there was a child to end
            child.terminate()
        lacks = []
        output: IO[str] = child.stdout  # type: ignore[assignment] # it was asked for above
        with output:
            for line in output:
                said = lines.read(line)
                if isinstance(said, lines.Lack):
                    lacks.append(said)
                elif said is not None:
                    heard(*said)
        return Outcome(child.wait(), tuple(lacks))

    def stop(self) -> None:
        self._stopped = True
        if self._child is None:
            return
        self._child.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(ENDS_WITHIN_SECONDS)
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait()
