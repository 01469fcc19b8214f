"""Starting and stopping one server in a process group of its own."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.speed.target import Target

READY_SECONDS = 90.0
STOP_SECONDS = 5.0
POLL_SECONDS = 0.1


class ServerError(RuntimeError):
    """A server did not start, did not answer, or did not end."""


@dataclass(frozen=True)
class Launch:
    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    port: int | None
    """The TCP port that must be free; None for a server on a Unix socket."""
    log: Path
    ready_seconds: float = READY_SECONDS


@contextmanager
def running(launch: Launch, is_ready: Callable[[], bool]) -> Iterator[None]:
    """Run the server for as long as the block lasts; afterwards none of its processes is left."""
    refuse_taken_port(launch)
    launch.log.parent.mkdir(parents=True, exist_ok=True)
    with launch.log.open("wb") as log:
        process = subprocess.Popen(
            launch.argv,
            env={**os.environ, **launch.env},
            cwd=launch.cwd,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_ready(launch, process, is_ready)
        yield
    finally:
        stop(process)


def refuse_taken_port(launch: Launch) -> None:
    if launch.port is None:
        return
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", launch.port)) == 0:
            raise ServerError(f"port {launch.port} is taken: free it for {launch.name}")


def wait_ready(
    launch: Launch, process: subprocess.Popen[bytes], is_ready: Callable[[], bool]
) -> None:
    deadline = time.monotonic() + launch.ready_seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServerError(f"{launch.name} ended while starting:\n{_tail(launch.log)}")
        if is_ready():
            return
        time.sleep(POLL_SECONDS)
    late = f"{launch.name} was not ready in {launch.ready_seconds:.0f} s"
    raise ServerError(f"{late}:\n{_tail(launch.log)}")


def answers(target: Target) -> bool:
    """Whether the target answers its first body with 200."""
    try:
        first_answer(target)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
    return True


def first_answer(target: Target) -> bytes:
    body = target.bodies.read_text().partition("\n")[0].encode()
    headers = {"Content-Type": "application/json", **target.headers}
    # The address is one of the loopback addresses that this bench pins itself.
    request = urllib.request.Request(target.url, body, headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
        content: bytes = answer.read()
    return content


def stop(process: subprocess.Popen[bytes]) -> None:
    members = _family(process)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    for member in _left_after(STOP_SECONDS, process, members):
        with suppress(psutil.NoSuchProcess):
            member.kill()
    immortal = _left_after(STOP_SECONDS, process, members)
    if immortal:
        raise ServerError(f"processes {[member.pid for member in immortal]} could not be ended")


def _left_after(
    seconds: float, process: subprocess.Popen[bytes], members: list[psutil.Process]
) -> list[psutil.Process]:
    """Wait for the members to end, and return those that did not."""
    deadline = time.monotonic() + seconds
    while (left := [member for member in members if not _ended(member)]) or process.poll() is None:
        if time.monotonic() > deadline:
            break
        time.sleep(POLL_SECONDS / 2)
    return left


def _ended(member: psutil.Process) -> bool:
    # An orphan stays a zombie for as long as the first process of a container reaps none.
    try:
        return not member.is_running() or member.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Find the group's members and, for servers whose children leave the group, all descendants."""
    found = {p.pid: p for p in psutil.process_iter() if _group(p.pid) == process.pid}
    with suppress(psutil.NoSuchProcess):
        found |= {p.pid: p for p in psutil.Process(process.pid).children(recursive=True)}
    return list(found.values())


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def _tail(log: Path, lines: int = 20) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
