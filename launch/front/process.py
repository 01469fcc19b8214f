"""The front beside `ballast up`: opened before everything else, kept up, ended after everything."""

import logging
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

from launch.errors import PortTakenError
from launch.front.listening import listen
from launch.front.servers import FOLDER_VARIABLE
from launch.front.watchdog import processes_of

ENDS_WITHIN_SECONDS = 5.0
AGAIN_AFTER_SECONDS = 0.1

log = logging.getLogger(__name__)


class FrontProcess:
    """Holds the listening socket for the watchdog, so that not even a killed watchdog closes it."""

    def __init__(self, folder: Path, log: Path) -> None:
        self._folder = folder
        self._log = log
        self._ending = threading.Event()
        self._watchdog: subprocess.Popen[bytes] | None = None
        self.restarts = 0

    @property
    def pid(self) -> int:
        return -1 if self._watchdog is None else self._watchdog.pid

    @property
    def pids(self) -> list[int]:
        """Name all processes of the front."""
        return [self.pid, *(each.pid for each in processes_of(self._folder))]

    def start(self, host: str, port: int) -> None:
        """Open the port: from here on clients get an answer, be it that there is no gateway yet."""
        try:
            listener = listen(host, port)
        except OSError as error:
            raise PortTakenError(host, port, "BALLAST_PORT") from error
        self._start_watchdog(listener)
        threading.Thread(target=self._keep, args=(listener,), name="front", daemon=True).start()

    def stop(self) -> None:
        self._ending.set()
        if self._watchdog is None:
            return
        self._watchdog.terminate()
        try:
            self._watchdog.wait(ENDS_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            self._watchdog.kill()

    def _keep(self, listener: socket.socket) -> None:
        with listener:
            while self._watchdog is not None:
                self._watchdog.wait()
                if self._ending.wait(AGAIN_AFTER_SECONDS):
                    return
                self.restarts += 1
                try:
                    self._start_watchdog(listener)
                except OSError:  # no process or memory left: the next turn tries again
                    log.exception("The process in front of the gateways could not be started again")

    def _start_watchdog(self, listener: socket.socket) -> None:
        command = [sys.executable, "-m", __package__, "--parent", str(os.getpid())]
        with self._log.open("ab") as log:
            self._watchdog = subprocess.Popen(
                [*command, "--listener", str(listener.fileno())],
                env=os.environ | {FOLDER_VARIABLE: str(self._folder)},
                pass_fds=[listener.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C at the terminal is not for it
            )
