"""Whether one process has ended: asked of the kernel by a handle, many times a second.

To read /proc for it costs ten times as much, and another process may have got the number meanwhile.
"""

import os
import select
from contextlib import suppress

from launch import own_processes


class ProcessEnd:
    """Of the process that had this number when it began; to be closed."""

    def __init__(self, pid: int, started: float) -> None:
        self._handle: int | None = None
        with suppress(OSError):  # there is none any more
            self._handle = os.pidfd_open(pid)
        if not own_processes.alive(pid, started):
            self.close()

    @property
    def has_come(self) -> bool:
        """Tell whether it has ended, be it waited for by its parent or not; for any thread."""
        handle = self._handle
        if handle is not None and _is_over(handle):
            self.close()
        return self._handle is None

    def close(self) -> None:
        """Let go of the process: it counts as ended."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)


def _is_over(handle: int) -> bool:
    look = select.poll()  # one for each look: two threads may not share one
    look.register(handle, select.POLLIN)
    return bool(look.poll(0))
