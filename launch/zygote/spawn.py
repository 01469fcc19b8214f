"""Begins the zygote beside Ray's own start, begins it anew when it dies, and ends it."""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from launch.zygote.order import JOB, NO_JOB, RAYLET_PID, SOCKET

ENDS_WITHIN_SECONDS = 5.0
# One that dies at once, again and again, must not take a processor for itself.
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 60.0
SOUND_AFTER_SECONDS = 30.0

log = logging.getLogger(__name__)


class ZygoteProcess:
    """It ends with its input, and so with whoever began it, however that ends."""

    def __init__(self, scratch: Path) -> None:
        self.socket_path = scratch / "zygote.sock"
        self.log = scratch / "zygote.log"
        self.restarts = 0
        self._variables: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._changing = threading.Lock()
        self._guard = threading.Thread(target=self._keep_alive, name="zygote-guard", daemon=True)

    @property
    def pid(self) -> int:
        return -1 if self._process is None else self._process.pid

    def start(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Begin it under these variables; give those by which workers find it."""
        self._variables = {**variables, JOB: NO_JOB, RAYLET_PID: str(os.getpid())}
        self._process = self._spawn()
        self._guard.start()
        return {SOCKET: str(self.socket_path)}

    def stop(self) -> None:
        with self._changing:  # from here on the guard starts no other
            self._stopping.set()
        if self._process is None or self._process.stdin is None:
            return
        self._process.stdin.close()
        try:
            self._process.wait(ENDS_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._guard.join(ENDS_WITHIN_SECONDS)

    def _spawn(self) -> "subprocess.Popen[bytes]":
        self.socket_path.unlink(missing_ok=True)  # of one that was killed
        with self.log.open("ab") as log_file:
            return subprocess.Popen(
                [sys.executable, "-m", __package__, str(self.socket_path)],
                env=self._variables,
                stdin=subprocess.PIPE,
                stdout=log_file,
                stderr=log_file,
                start_new_session=True,  # Ctrl-C at the terminal is not for it
            )

    def _keep_alive(self) -> None:
        pause = SHORTEST_PAUSE_SECONDS
        while self._process is not None:
            began = time.monotonic()
            self._process.wait()
            sound = time.monotonic() - began > SOUND_AFTER_SECONDS
            pause = SHORTEST_PAUSE_SECONDS if sound else min(2 * pause, LONGEST_PAUSE_SECONDS)
            self._stopping.wait(pause)
            with self._changing:
                if self._stopping.is_set():
                    return
                self._begin_again()

    def _begin_again(self) -> None:
        log.warning("The process that workers are forked from ended and is started again")
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        self.restarts += 1
        try:
            self._process = self._spawn()
        except OSError:
            log.exception(
                "The process that workers are forked from could not be started; Ray starts "
                "workers itself"
            )
