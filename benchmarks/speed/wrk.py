"""The closed loop: wrk keeps n clients busy, each asking again as soon as it is answered.

wrk 4.1 corrects its percentiles for coordinated omission: a stall counts as often as the requests
that it held back would have, not once. The correction is the same for every server.
"""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.speed.target import Target

SCRIPT = Path(__file__).with_name("post.lua")
TIMEOUT_SECONDS = 10


class WrkError(RuntimeError):
    """wrk is missing, ended with an error, or printed no figures."""


@dataclass(frozen=True)
class ClosedLoop:
    rps: float
    """Requests answered with success, a second."""
    p50_ms: float
    p99_ms: float
    p999_ms: float
    mean_ms: float
    max_ms: float
    non_2xx: int
    socket_errors: int


def closed_loop(target: Target, clients: int, seconds: int) -> ClosedLoop:
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--latency"]
    command += [f"--timeout={TIMEOUT_SECONDS}s", "-s", str(SCRIPT), target.url]
    try:
        run = subprocess.run(
            command,
            env={**os.environ, **_environment(target)},
            capture_output=True,
            text=True,
            check=True,
            timeout=seconds + 3 * TIMEOUT_SECONDS,
        )
    except FileNotFoundError as error:
        raise WrkError("wrk is missing: install Debian's package wrk") from error
    except subprocess.CalledProcessError as error:
        raise WrkError(
            f"wrk ended with {error.returncode}: {error.stderr or error.stdout}"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise WrkError(f"{clients} clients of {target.url} were stuck: wrk did not end") from error
    return parse(run.stdout)


def _environment(target: Target) -> dict[str, str]:
    headers = "\n".join(f"{name}: {value}" for name, value in target.headers.items())
    return {"WRK_BODIES": str(target.bodies), "WRK_HEADERS": headers}


def parse(output: str) -> ClosedLoop:
    """Read the line of JSON that post.lua prints after wrk's own report."""
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if not lines:
        raise WrkError(f"wrk printed no figures:\n{output}")
    figures = json.loads(lines[-1])
    return ClosedLoop(
        rps=(figures["requests"] - figures["non_2xx"]) / figures["seconds"],
        p50_ms=figures["p50_us"] / 1e3,
        p99_ms=figures["p99_us"] / 1e3,
        p999_ms=figures["p999_us"] / 1e3,
        mean_ms=figures["mean_us"] / 1e3,
        max_ms=figures["max_us"] / 1e3,
        non_2xx=figures["non_2xx"],
        socket_errors=sum(figures[kind] for kind in ("connect", "read", "write", "timeout")),
    )
