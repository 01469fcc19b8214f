"""Leaves the processor to whoever answers requests."""

import os
from contextlib import suppress
from pathlib import Path

LEAST = 19
"""One part in seventy of what answers requests, where both want the processor."""
GROUP = 10
"""One part in ten, so that training comes to an end on a machine that is always busy."""
OWN_GROUP = Path("/proc/self/autogroup")


def step_back() -> None:
    """Yield to all other processes, be they of this session or of others.

    Linux shares the processor between sessions first, and between the processes of each then: a
    nice process in a session of its own, or beside one that only waits, yields to nobody. So it
    takes a session for itself and makes all of that nice.
    """
    with suppress(PermissionError):  # it leads a session already
        os.setsid()
    os.nice(LEAST)
    with suppress(OSError):  # a kernel that does not group by session
        OWN_GROUP.write_text(str(GROUP))
