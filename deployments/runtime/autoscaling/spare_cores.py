"""How much of this machine's processors is left to another replica, as the kernel counts it."""

import os
from pathlib import Path

STAT = Path("/proc/stat")
# The columns of its first line: user, nice, system, idle, iowait, irq, softirq, steal; guests' time
# is within user's.
NICE, IDLE = 1, (3, 4)
COUNTED = 8


class SpareCores:
    """Tells it since it was last asked; all of them where the kernel does not say."""

    def __init__(self, stat: Path = STAT, niceness: int | None = None) -> None:
        """Take how nice the replicas are; by default as nice as this process."""
        own = os.getpriority(os.PRIO_PROCESS, 0) if niceness is None else niceness
        # What is nicer, as a training in the background, gives way to replicas that are not nice.
        self._left = IDLE if own > 0 else (NICE, *IDLE)
        self._stat = stat
        self._all = float(os.cpu_count() or 1)
        self._spare, self._total = self._read()

    def cores(self) -> float:
        spare, total = self._read()
        passed = total - self._total
        cores = self._all * (spare - self._spare) / passed if passed > 0 else self._all
        self._spare, self._total = spare, total
        return cores

    def _read(self) -> tuple[int, int]:
        try:
            with self._stat.open() as file:
                times = [int(each) for each in file.readline().split()[1 : COUNTED + 1]]
        except (OSError, ValueError):
            return 0, 0
        return sum(times[at] for at in self._left if at < len(times)), sum(times)
