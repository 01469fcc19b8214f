"""Watches the processes of the Ray cluster, and starts again those that can be.

All but the raylet can: the control store (gcs_server) keeps its state in files and finds it there,
and whoever is connected to it connects again to the same port. The raylet takes every replica with
it, so a cluster that has lost it is started anew as a whole.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import grpc

from deployments.runtime.platform_health import PartHealth, PartState
from launch import own_processes
from launch.process_end import ProcessEnd
from launch.reports import Daemon

HEALTH_CHECK = "/grpc.health.v1.Health/Check"
ANSWERS_WITHIN_SECONDS = 1.0
SILENT_AFTER_SECONDS = 2.5
# A machine that is merely slow must not lose its cluster; what hangs for this long is killed.
HUNG_AFTER_SECONDS = 30.0
MOST_RESTARTS = 5
ENDS_WITHIN_SECONDS = 5.0
_BECOMES_ITSELF_SECONDS = 1.0
IRREPLACEABLE = "raylet"


class ClusterLostError(Exception):
    """The cluster cannot go on as it is; the message says what happened."""


class WatchedDaemon:
    """One process: whether it lives and answers, and how it was started."""

    def __init__(self, daemon: Daemon, clock: Callable[[], float]) -> None:
        self.daemon = daemon
        self.restarts = 0
        self._clock = clock
        self._answered_at = clock()
        self._child: subprocess.Popen[bytes] | None = None
        self._health: HealthQuestion | None = None
        self._command, self._environment = _started_as(daemon.pid)
        self._end = ProcessEnd(daemon.pid, daemon.started)

    @property
    def alive(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        return not self._end.has_come

    @property
    def silent_s(self) -> float:
        return 0.0 if self.daemon.port is None else self._clock() - self._answered_at

    @property
    def state(self) -> PartState:
        if not self.alive:
            return "ended"
        return "silent" if self.silent_s > SILENT_AFTER_SECONDS else "running"

    def probe(self) -> None:
        if self.daemon.port is None:
            return
        if self._health is None:
            self._health = HealthQuestion(self.daemon.port)
        if self._health.answered():
            self._answered_at = self._clock()
        else:
            self._close_health()  # one that failed waits longer and longer before it connects again

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.daemon.pid, signal.SIGKILL)
        if self._child is not None:
            self._child.wait()

    def start_again(self) -> None:
        """Start it as it was started, on the port that the others know."""
        self.restarts += 1
        self._close_health()  # its connection led to the one that ended
        command = [
            f"--gcs_server_port={self.daemon.port}"
            if part.startswith("--gcs_server_port=")
            else part
            for part in self._command
        ]
        self._child = subprocess.Popen(
            command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        started = own_processes.started_at(self._child.pid) or 0.0
        self.daemon = self.daemon.model_copy(update={"pid": self._child.pid, "started": started})
        self._answered_at = self._clock()

    def end(self) -> None:
        """End what was started again: whoever started the others does not know of it."""
        self._close_health()
        self._end.close()
        if self._child is None:
            return
        self._child.terminate()
        try:
            self._child.wait(ENDS_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def _close_health(self) -> None:
        question, self._health = self._health, None
        if question is not None:
            question.close()

    def health(self) -> PartHealth:
        return PartHealth(
            name=self.daemon.name,
            state=self.state,
            pid=self.daemon.pid,
            restarts=self.restarts,
        )


class Daemons:
    """All of them; `tend` is called a few times a second."""

    def __init__(
        self,
        daemons: list[Daemon],
        clock: Callable[[], float],
        say: Callable[[str], object],
    ) -> None:
        self._watched = [WatchedDaemon(each, clock) for each in daemons]
        self._say = say

    def health(self) -> list[PartHealth]:
        return [each.health() for each in self._watched]

    def probe(self) -> None:
        for each in self._watched:
            each.probe()

    def end(self) -> None:
        for each in self._watched:
            each.end()

    def problems(self) -> dict[str, str]:
        """Give what is wrong, by the process."""
        return {
            each.daemon.name: f"{each.daemon.name} has not answered for {each.silent_s:.0f} s"
            if each.state == "silent"
            else f"{each.daemon.name} ended"
            for each in self._watched
            if each.state != "running"
        }

    def tend(self) -> None:
        """Start again what ended; raise when the cluster is beyond that."""
        for each in self._watched:
            if each.alive and each.silent_s > HUNG_AFTER_SECONDS:
                self._say(f"{each.daemon.name} did not answer for {each.silent_s:.0f} s.")
                each.kill()
            if not each.alive:
                self._replace(each)

    def _replace(self, ended: WatchedDaemon) -> None:
        name = ended.daemon.name
        if name == IRREPLACEABLE:
            raise ClusterLostError(f"{name} ended")
        if ended.restarts >= MOST_RESTARTS:
            if ended.daemon.must_live:
                raise ClusterLostError(f"{name} ended {MOST_RESTARTS} times")
            return
        ended.start_again()
        self._say(f"{name} ended and was started again.")


class HealthQuestion:
    """Asks one port as Ray's own health checks do, over a connection that stays.

    A new one for each question costs several times as much as the question.
    """

    def __init__(self, port: int) -> None:
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._ask = self._channel.unary_unary(HEALTH_CHECK)

    def answered(self) -> bool:
        """Ask; any answer will do."""
        try:
            self._ask(b"", timeout=ANSWERS_WITHIN_SECONDS)
        except grpc.RpcError as error:
            return error.code() not in (
                grpc.StatusCode.UNAVAILABLE,
                grpc.StatusCode.DEADLINE_EXCEEDED,
            )
        return True

    def close(self) -> None:
        self._channel.close()


def _started_as(pid: int) -> tuple[list[str], dict[str, str]]:
    """Read how a process was started, while it is there to tell."""
    try:
        command = _command(pid)
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError as gone:
        raise ClusterLostError(f"the process {pid} ended before it could be watched") from gone
    pairs = (each.partition(b"=") for each in environment if b"=" in each)
    return [os.fsdecode(part) for part in command], {
        os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs
    }


def _command(pid: int) -> list[bytes]:
    until = time.monotonic() + _BECOMES_ITSELF_SECONDS
    while time.monotonic() < until:
        if command := Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]:
            return command
        time.sleep(0.001)  # in the moment in which it becomes its program it shows none
    raise ProcessLookupError(pid)  # it is dead, and only its number is left
