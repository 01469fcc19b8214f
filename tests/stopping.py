"""Stopping a process the way that a machine which swaps does: it is there, and silent."""

import os
import signal
import time
from pathlib import Path

from tests.waiting import PATIENCE_SECONDS


def stop(pid: int) -> None:
    """Stop it and wait until it stands still.

    The signal is heard by one thread, which has to be scheduled first; until then the others may
    go on answering.
    """
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not _stands_still(pid):
        assert time.monotonic() < deadline, f"process {pid} does not stop"
        time.sleep(0.001)


def _stands_still(pid: int) -> bool:
    # The name in parentheses may hold anything; the state is the first word after it.
    states = (
        each.read_text().rpartition(")")[2].split()[0]
        for each in Path(f"/proc/{pid}/task").glob("*/stat")
    )
    return all(state in "Tt" for state in states)
