"""What the figures were measured on."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from benchmarks.speed.contenders import PEERS
from benchmarks.speed.environments import locked_version
from benchmarks.speed.redis_server import redis_binary

LOCKED_PEERS = ("litserve", "mlserver", "bentoml")
LIBRARIES = ("xgboost-cpu", "fastapi", "uvicorn", "redis", "ray")


def describe() -> dict[str, str]:
    return {
        "cores": str(os.cpu_count()),
        "cpu": _cpu_model(Path("/proc/cpuinfo")),
        "system": platform.platform(),
        "python": platform.python_version(),
        "wrk": _first_line(["wrk", "-v"]),
        "redis-server": _first_line([redis_binary(), "--version"]),
        **{peer: locked_version(peer, PEERS) for peer in LOCKED_PEERS},
        **{library: version(library) for library in LIBRARIES},
        "load average at the start": f"{os.getloadavg()[0]:.2f}",
    }


def busy_note(load: float, cores: int) -> list[str]:
    """Warn when others keep the machine busy: neither figures nor choices of variants hold then."""
    if load <= cores / 2:
        return []
    return [f"the machine was busy at the start: load {load:.1f} on {cores} cores, so all is noisy"]


def _cpu_model(cpuinfo: Path) -> str:
    for line in cpuinfo.read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"


def _first_line(argv: list[str]) -> str:
    # wrk ends with 1 when it prints its version.
    run = subprocess.run(argv, capture_output=True, text=True, check=False)
    return (run.stdout or run.stderr).partition("\n")[0].strip()
