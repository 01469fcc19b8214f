"""A library as a contender: as many processes as there are clients, or cores, ask it in turn."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from benchmarks.speed.openloop import percentile
from benchmarks.speed.servers import ServerError
from benchmarks.speed.wrk import ClosedLoop

ENDS_WITHIN_SECONDS = 10.0


@dataclass(frozen=True)
class InProcess:
    """Processes that wait for a line saying what to ask for how long, and answer with times."""

    processes: Sequence[subprocess.Popen[str]]
    bodies: Mapping[int, Path]

    @classmethod
    @contextmanager
    def opened(
        cls, argv: Sequence[str], env: Mapping[str, str], bodies: Mapping[int, Path]
    ) -> Iterator[Self]:
        with ExitStack() as undo:
            processes = [
                undo.enter_context(_process(argv, env)) for _ in range(os.cpu_count() or 1)
            ]
            for each in processes:
                if _line(each) != "ready\n":
                    raise ServerError(f"{argv} ended while it was starting")
            yield cls(processes, bodies)

    def measure(self, size: int, clients: int, seconds: int) -> ClosedLoop:
        """Let as many processes ask as there are clients; more than the cores gain nothing."""
        asking = self.processes[:clients]
        question = json.dumps({"bodies": str(self.bodies[size]), "seconds": seconds})
        for each in asking:
            _end(each.stdin).write(question + "\n")
            _end(each.stdin).flush()
        times = [json.loads(_line(each)) for each in asking]
        return _figures([time for own in times for time in own], len(asking))


def _figures(microseconds: Sequence[int], processes: int) -> ClosedLoop:
    ordered = [each / 1e3 for each in sorted(microseconds)]
    mean = sum(ordered) / len(ordered)
    return ClosedLoop(
        rps=processes * 1e3 / mean,
        p50_ms=percentile(ordered, 50),
        p99_ms=percentile(ordered, 99),
        p999_ms=percentile(ordered, 99.9),
        mean_ms=mean,
        max_ms=ordered[-1],
        non_2xx=0,
        socket_errors=0,
    )


@contextmanager
def _process(argv: Sequence[str], env: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        argv,
        env={**os.environ, **env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        _end(process.stdin).close()
        try:
            process.wait(ENDS_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _end(process.stdout).close()


def _line(process: subprocess.Popen[str]) -> str:
    line = _end(process.stdout).readline()
    if not line:
        raise ServerError(f"{process.args!r} ended with {process.wait()}")
    return line


def _end(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise ServerError("a process was started without its pipes")
    return pipe
