"""Tells whether a fork of the zygote would be what Ray wanted to start."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from deployments.runtime.ray_internals import WORKER_FILE
from launch.zygote.order import Order

ROOT = Path(__file__).parents[2]
ROOMS = (
    *("deployments", "models", "features", "safety", "access", "config_store"),
    *("launch", "observability", "settings"),
)


class ForkCheck:
    """Whether a worker of its own would be what a fork is: the same program in the same place.

    Our files are compared too: a replica with the code of an hour ago would mislead whoever has
    just changed it.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self._stamps = self._files()
        self._worker = worker_script()
        self._paths = os.environ.get("PYTHONPATH")

    def allows(self, order: Order) -> bool:
        return (
            order["command"][0] == self._worker
            and order["python"] == sys.executable
            and order["environment"].get("PYTHONPATH") == self._paths
            and self._files() == self._stamps
        )

    def _files(self) -> dict[str, int]:
        found = [path for room in ROOMS for path in (self._root / room).rglob("*.py")]
        return {str(path): path.stat().st_mtime_ns for path in found}


def worker_script() -> str:
    """Name the one program that is forked, without importing anything of Ray."""
    found = find_spec("ray")
    folders = None if found is None else found.submodule_search_locations
    return str(Path(folders[0]) / WORKER_FILE) if folders else ""
