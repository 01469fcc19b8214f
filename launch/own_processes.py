"""Finds and ends the processes of one run of the platform, and only those.

Everything that `ballast up` starts inherits a token in its environment, whoever its parent becomes
later. Process ids alone would not do: they are recycled, and Ray's grandchildren outlive parents.
"""

import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

TOKEN = "BALLAST_RUN"  # noqa: S105 - the name of a variable


def marked(run: str) -> list[int]:
    """Name the living processes that carry this run's token, except the caller's own."""
    mark = f"{TOKEN}={run}".encode()
    return [pid for pid in _all_pids() if pid != os.getpid() and mark in _environment(pid)]


def end(run: str, patience_s: float, spare: Callable[[], Iterable[int]] = lambda: ()) -> list[int]:
    """Ask them all to end, wait, and kill what is left; name those that had to be killed.

    `spare` is asked each time: what it names may be started again meanwhile, under another id.
    """

    def left() -> list[int]:
        found, spared = marked(run), set(spare())
        return [pid for pid in found if pid not in spared]

    _signal(left(), signal.SIGTERM)
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if not left():
            return []
        time.sleep(0.05)
    killed: dict[int, None] = {}
    while stubborn := left():
        killed |= dict.fromkeys(stubborn)
        _signal(stubborn, signal.SIGKILL)
        time.sleep(0.05)
    return list(killed)


def running(program: str, argument: str) -> list[tuple[int, float]]:
    """Name this user's living processes of a program with an argument, and when each began."""
    found = [(pid, started_at(pid)) for pid in _all_pids() if _runs(pid, program, argument)]
    return [(pid, started) for pid, started in found if started is not None]


def _runs(pid: int, program: str, argument: str) -> bool:
    """Compare the program itself: who merely reads its file has the same argument."""
    if argument.encode() not in _strings(pid, "cmdline"):
        return False
    try:
        of_this_user = Path(f"/proc/{pid}").stat().st_uid == os.geteuid()
        return of_this_user and Path(f"/proc/{pid}/exe").readlink().name.split(" ")[0] == program
    except OSError:
        return False


def alive(pid: int, started: float) -> bool:
    """Tell whether this very process lives, not merely one that got its number."""
    return started_at(pid) == started


def started_at(pid: int) -> float | None:
    """Tell when a process began, in the kernel's ticks since boot; None when there is none."""
    try:
        # The command's name stands in brackets and may hold anything, spaces and brackets too.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    state, ticks = fields[0], fields[19]
    return None if state in "ZX" else float(ticks)


def _all_pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _environment(pid: int) -> list[bytes]:
    return _strings(pid, "environ")


def _strings(pid: int, file: str) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/{file}").read_bytes().split(b"\0")
    except OSError:
        return []  # gone, a zombie, or another user's: not ours to end


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
