"""What a start and a restart cost: with workers that are forked, and as Ray starts them.

The platform is started once to train what it needs, and then several times each way. A start is
over when the platform answers; a restart when a killed replica's successor does.
"""

import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.decisions.figures import is_quick, show
from launch import own_processes
from launch.run_record import RunRecord

BALLAST = Path(sys.prefix) / "bin" / "ballast"
TICKS = os.sysconf("SC_CLK_TCK")
VICTIM = "ServeReplica:ballast:safety"
BODY = {"load": 0.5}


@dataclass(frozen=True, slots=True)
class Cost:
    start_s: float
    cpu_s: float
    memory_mb: float
    restart_s: float


def measured(home: Path, port: int, *, forked: bool) -> Cost:
    variables = os.environ | {
        "BALLAST_HOME": str(home),
        "BALLAST_PORT": str(port),
        "BALLAST_HISTORY_DAYS": "14",
        "BALLAST_FORKED_WORKERS": str(forked),
    }
    started = time.monotonic()
    platform = subprocess.Popen(
        [str(BALLAST), "up"], env=variables, stdout=subprocess.PIPE, text=True
    )
    try:
        if not any("Ctrl-C ends it" in line for line in platform.stdout or ()):
            raise SystemExit("the platform did not start")
        took = time.monotonic() - started
        pids = of_this_run(home)
        cpu = sum(map(seconds_of, [*pids, platform.pid]))
        memory = sum(megabytes_of(pid) for pid in pids if "ray::" in title(pid))
        return Cost(took, cpu, memory, restart(home, f"http://127.0.0.1:{port}"))
    finally:
        platform.send_signal(signal.SIGINT)
        platform.communicate(timeout=120)


def restart(home: Path, url: str) -> float:
    """Kill the one replica of a stage that no answer can do without; time until one does again."""
    key = (home / "admin.key").read_text().strip()
    with httpx.Client(base_url=url, headers={"X-API-Key": key}, timeout=30) as client:
        client.post("/models/tail-slo", json=BODY).raise_for_status()
        (victim,) = [pid for pid in of_this_run(home) if VICTIM in title(pid)]
        os.kill(victim, signal.SIGKILL)
        killed = time.monotonic()
        while client.post("/models/tail-slo", json=BODY).is_error or not successor(home, victim):
            time.sleep(0.05)
        return time.monotonic() - killed


def successor(home: Path, victim: int) -> bool:
    return any(VICTIM in title(pid) for pid in of_this_run(home) if pid != victim)


def of_this_run(home: Path) -> list[int]:
    run = RunRecord(home).read()
    return [] if run is None else own_processes.marked(run.token)


def title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def seconds_of(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def megabytes_of(pid: int) -> float:
    """Count what it has alone, and its part of what it shares."""
    try:
        told = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    found = re.search(r"^Pss:\s+(\d+) kB", told, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def row(name: str, costs: list[Cost]) -> list[str]:
    def middle(field: str) -> float:
        values: list[float] = [getattr(each, field) for each in costs]
        return statistics.median(values)

    return [
        name,
        f"{middle('start_s'):.1f}",
        f"{middle('cpu_s'):.0f}",
        f"{middle('memory_mb'):.0f}",
        f"{middle('restart_s'):.2f}",
    ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(*, quick: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="bf-", dir="/var/tmp") as folder:
        home, port = Path(folder) / "home", _free_port()
        measured(home, port, forked=True)
        ways: dict[bool, list[Cost]] = {False: [], True: []}
        for _ in range(1 if quick else 3):
            for forked, costs in ways.items():
                costs.append(measured(home, port, forked=forked))
    show(
        "Starts of the platform, medians",
        ("workers", "start s", "CPU s", "memory of Ray's processes MB", "restart s"),
        [row("as Ray starts them", ways[False]), row("forked", ways[True])],
    )


if __name__ == "__main__":
    run(quick=is_quick(__doc__))
