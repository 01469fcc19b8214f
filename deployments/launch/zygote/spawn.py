"""Begins the zygote beside Ray's own start, and ends it."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from deployments.launch.zygote.order import JOB, KEEPER, NO_JOB, SOCKET

ENDS_WITHIN_SECONDS = 5.0


class ZygoteProcess:
    """It ends with its input, and so with whoever began it, however that ends."""

    def __init__(self, scratch: Path) -> None:
        self.door = scratch / "zygote.sock"
        self.log = scratch / "zygote.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return -1 if self._process is None else self._process.pid

    def start(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Begin it under these variables; give those by which workers find it."""
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __package__, str(self.door)],
                env={**variables, JOB: NO_JOB, KEEPER: str(os.getpid())},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C at the terminal is not for it
            )
        return {SOCKET: str(self.door)}

    def stop(self) -> None:
        if self._process is None or self._process.stdin is None:
            return
        self._process.stdin.close()
        try:
            self._process.wait(ENDS_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
