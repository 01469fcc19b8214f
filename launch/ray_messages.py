"""Keeps what Ray's daemons report out of the terminal, and in a file."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deployments.runtime import ray_internals

NAME = "cluster.log"


def to_file(folder: Path) -> None:
    """Write the reports to a file of this folder from now on.

    Ray prints them between whatever the driver prints: at every end that calls to the controller,
    which has just ended, have failed. What is of use in them is found in the file.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path, turn = folder / NAME, threading.Lock()

    def write(message: Mapping[str, Any]) -> None:
        with turn, path.open("a") as file:
            file.writelines(f"{message.get('pid', '')}: {line}\n" for line in message["lines"])

    ray_internals.write_reports_with(write)
