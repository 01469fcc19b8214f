"""The supervisor's side of the driver: starts it, hears its reports, ends it."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping

from deployments.runtime.platform_health import DeploymentHealth, TrainingHealth
from launch.reports import Daemon, DriverOrder, Report, parsed

MODULE = "launch.driver"
ENDS_WITHIN_SECONDS = 45.0


class DriverProcess:
    """One driver, and so one life of the Ray cluster."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._heard_at: float | None = None
        self.daemons: list[Daemon] = []
        self.dashboard = ""
        self.deployments: list[DeploymentHealth] = []
        self.training = TrainingHealth()
        self.serve_silent_s = 0.0
        self.step = ""
        self.ready = False
        self.failure = ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, order: DriverOrder, variables: Mapping[str, str]) -> None:
        reader, writer = os.pipe()
        command = [sys.executable, "-m", MODULE, order.with_pipe(writer).model_dump_json()]
        try:
            self._process = subprocess.Popen(
                command,
                env=variables,
                stdin=subprocess.DEVNULL,
                pass_fds=[writer],
                # Ctrl-C reaches the whole terminal group; the supervisor decides who ends when.
                start_new_session=True,
            )
        finally:
            os.close(writer)
        threading.Thread(target=self._hear, args=(reader,), name="reports", daemon=True).start()

    @property
    def pid(self) -> int:
        return -1 if self._process is None else self._process.pid

    @property
    def silent_s(self) -> float:
        """Tell for how long it has reported nothing; during its start it may be busy."""
        return 0.0 if self._heard_at is None else self._clock() - self._heard_at

    @property
    def ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def stop(self, patience_s: float = ENDS_WITHIN_SECONDS) -> None:
        """Let it take everything down in order, for as long as that may take."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _hear(self, reader: int) -> None:
        with os.fdopen(reader, "rb") as lines:
            for line in lines:
                report = parsed(line)
                if report is not None:
                    self._take(report)

    def _take(self, report: Report) -> None:
        match report.kind:
            case "step":
                self.step = report.step
            case "cluster":
                self.daemons, self.dashboard = report.daemons, report.dashboard
            case "ready":
                self.ready = True
            case "deployments":
                self._heard_at = self._clock()
                self.deployments, self.training = report.deployments, report.training
                self.serve_silent_s = report.silent_s
            case "failed":
                self.failure = report.sentence
