"""What the processes of the one-machine Ray cluster find in their environment."""

import os
import sys
from pathlib import Path

from launch import ray_variables
from launch.errors import MissingBinaryError

STARTUP = Path(__file__).with_name("startup")
# Replicas ask for fractions of a CPU; the rest is for sweeps and retraining.
CPUS = max(os.cpu_count() or 2, 2)


def environment(scratch: Path, home: Path, *, plain: bool) -> dict[str, str]:
    """Give what Ray, Serve and every replica must find in their environment at their start."""
    left_out = ray_variables.FAST_ONLY if plain else ()
    variables = [each for each in ray_variables.AT_START if each.name not in left_out]
    return before_ray() | ray_variables.on_one_machine(
        variables,
        commands=command("ballast-haproxy").parent,
        haproxy=scratch / "haproxy",
        front=front_folder(scratch),
        home=home,
        python_path=python_path(os.environ.get("PYTHONPATH")),
    )


def before_ray() -> dict[str, str]:
    """Give what must stand in this process's own environment before it imports Ray."""
    return ray_variables.on_one_machine(ray_variables.BEFORE_RAY)


def front_folder(scratch: Path) -> Path:
    """Name the folder where the front keeps its sockets and learns of the gateways."""
    return scratch / "front"


def python_path(given: str | None) -> str:
    """Put what every process of the cluster runs first before what the user has there."""
    return os.pathsep.join([str(STARTUP), given] if given else [str(STARTUP)])


def command(name: str) -> Path:
    """Find a command of this installation."""
    found = Path(sys.prefix) / "bin" / name
    if not found.is_file():
        raise MissingBinaryError(name, "Install the project again: `make install`.")
    return found


def control_store(folder: Path) -> dict[str, str]:
    """Have the control store keep its state in files, so that it can be started again by itself."""
    return ray_variables.on_one_machine(ray_variables.CONTROL_STORE, folder=folder)
