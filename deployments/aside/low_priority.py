"""Leaves the processor to whoever answers requests."""

import os
from contextlib import suppress
from pathlib import Path

# One part in seventy of what answers requests, where both want the processor.
LEAST = 19
OWN_GROUP = Path("/proc/self/autogroup")


def step_back() -> None:
    """Give this process the lowest priority, also beside processes of other sessions.

    Linux shares the processor between sessions first, and between the processes of each then: in
    the session of a replica a nice process yields to that replica, but not to Redis, which has one
    of its own. So it takes a session for itself and makes all of that nice.
    """
    with suppress(PermissionError):  # it leads a session already
        os.setsid()
    os.nice(LEAST)
    with suppress(OSError):  # a kernel that does not group by session
        OWN_GROUP.write_text(str(LEAST))
