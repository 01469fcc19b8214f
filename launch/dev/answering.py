"""The process that answers, as the one that stays starts it, and starts it anew on a change."""

import socket
import subprocess
import sys
import time

MODULE = "launch.dev.platform"
ENDS_WITHIN_SECONDS = 15.0


class Answering:
    """Clients who come while one process ends and the next begins wait in the socket's queue."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin to import; it waits for `go`."""
        number = self._listening.fileno()
        self._process = subprocess.Popen(
            [sys.executable, "-m", MODULE, str(number), str(time.monotonic())],
            stdin=subprocess.PIPE,
            pass_fds=[number],
            start_new_session=True,  # Ctrl-C is for the one that stays, which then ends this one
        )

    def go(self) -> None:
        """Let it open Redis and answer."""
        process = self._running()
        if process.stdin is not None and process.poll() is None:
            process.stdin.write(b"go\n")
            process.stdin.flush()

    def restart(self) -> None:
        self.stop()
        self.start()
        self.go()

    def stop(self) -> None:
        """Let it close what it holds; kill it where that takes too long."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(ENDS_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin is not None:
            process.stdin.close()

    @property
    def ended(self) -> int | None:
        """Its exit code, where it ended by itself."""
        return self._running().poll()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("it has not been started")
        return self._process
