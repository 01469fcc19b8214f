"""What the machine has, or the container that this process runs in."""

from pathlib import Path

import psutil

CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
MB = 1024 * 1024


def memory_bytes(limits: tuple[Path, ...] = CGROUP_LIMITS) -> int:
    """Tell how much memory there is: the machine's, or less where a container is given less."""
    found = [int(psutil.virtual_memory().total)]
    for path in limits:
        try:
            found.append(int(path.read_text()))
        except (OSError, ValueError):  # not there, or "max"
            continue
    return min(found)
