"""The process that answers, as the one that stays starts it, and starts it anew on a change."""

import socket
import subprocess
import sys
import time
from contextlib import suppress

MODULE = "launch.dev.process"
ENDS_WITHIN_SECONDS = 15.0


class Answering:
    """Clients who come while one process ends and the next begins wait in the socket's queue."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        # By this it gets the listening socket, and sees when whoever started it has ended.
        self._line: socket.socket | None = None

    def start(self) -> None:
        """Begin to import; it waits for `go`."""
        self._line, its_end = socket.socketpair()
        with its_end:
            self._process = subprocess.Popen(
                [sys.executable, "-m", MODULE, str(time.monotonic())],
                stdin=its_end.fileno(),
                start_new_session=True,  # Ctrl-C is for the one that stays, which then ends this
            )

    def go(self, listening: socket.socket) -> None:
        """Let it open Redis, and answer who connects there."""
        if self._line is None:
            raise RuntimeError("it has not been started")
        with suppress(BrokenPipeError, ConnectionResetError):  # it has ended; `ended` tells how
            socket.send_fds(self._line, [b"go"], [listening.fileno()])

    def restart(self, listening: socket.socket) -> None:
        self.stop()
        self.start()
        self.go(listening)

    def stop(self) -> None:
        """Let it close what it holds; kill it where that takes too long."""
        process, self._process = self._process, None
        line, self._line = self._line, None
        if process is not None:
            process.terminate()
            try:
                process.wait(ENDS_WITHIN_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if line is not None:
            line.close()

    @property
    def ended(self) -> int | None:
        """Its exit code, where it ended by itself."""
        return self._running().poll()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("it has not been started")
        return self._process
