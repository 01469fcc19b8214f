"""A driver whose cluster is two sleeping processes: what the supervisor does shows in a second."""

import os
import signal
import subprocess
import sys
import time

from deployments.runtime.platform_health import DeploymentHealth
from launch import own_processes
from launch.reports import Daemon, DriverOrder, Report, ReportWriter

FAILURE = "SMALL_DRIVER_FAILURE"
STEP = "SMALL_DRIVER_STEP"  # at which its start stays
DASHBOARD = "http://127.0.0.1:8399"
SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def daemon(name: str) -> Daemon:
    pid = subprocess.Popen(SLEEP).pid
    started = own_processes.started_at(pid) or 0.0
    return Daemon(name=name, pid=pid, started=started, must_live=True)


def main() -> None:
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    order = DriverOrder.model_validate_json(sys.argv[1])
    reports = ReportWriter(order.reports)
    if FAILURE in os.environ:
        logs = order.scratch / "ray" / "session_latest" / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        (logs / "gcs_server.out").write_text("why it failed")
        reports.write(Report(kind="failed", sentence=os.environ[FAILURE]))
        sys.exit(1)
    if STEP in os.environ:
        reports.write(Report(kind="step", step=os.environ[STEP]))
        while not ended:
            time.sleep(0.05)
        return
    daemons = [daemon("raylet"), daemon("gcs_server")]
    reports.write(Report(kind="cluster", daemons=daemons, dashboard=DASHBOARD))
    reports.write(Report(kind="ready"))
    short = DeploymentHealth(name="tail", wanted=3, running=1, waits_for="2 wait for a CPU")
    while not ended:
        time.sleep(0.5)
        reports.write(Report(kind="deployments", deployments=[short]))
    for each in daemons:
        os.kill(each.pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
