"""What a platform's processes take, as the kernel counts it: time on a processor, and wake-ups."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.chaos.targets import TARGETS
from benchmarks.platform import Platform, cmdline
from launch import own_processes

# A process that begins later is another one, though it may get the number of one that ended.
Process = tuple[int, float]
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Taken:
    """What a process, or all of a kind, has taken since it began."""

    processor_s: float = 0.0
    # How often a thread of it waited for something, and so how often it was woken.
    waits: int = 0

    def __add__(self, other: "Taken") -> "Taken":
        return Taken(self.processor_s + other.processor_s, self.waits + other.waits)

    def __sub__(self, other: "Taken") -> "Taken":
        return Taken(self.processor_s - other.processor_s, self.waits - other.waits)


@dataclass(frozen=True, slots=True)
class Count:
    """Of every process of a run: what it is, and what it has taken."""

    kinds: Mapping[Process, str]
    taken: Mapping[Process, Taken]

    @classmethod
    def of(cls, platform: Platform) -> "Count":
        run = platform.run
        # The supervisor gave the token to its children and does not carry it itself.
        return cls.of_processes((run.pid, *own_processes.marked(run.token)))

    @classmethod
    def of_processes(cls, pids: Iterable[int]) -> "Count":
        kinds, found = {}, {}
        for pid in pids:
            began, kind, now = own_processes.started_at(pid), kind_of(cmdline(pid)), taken(pid)
            if began is not None and now is not None:
                kinds[pid, began], found[pid, began] = kind, now
        return cls(kinds, found)

    def since(self, before: "Count") -> dict[str, Taken]:
        """Add up by kind what was taken since; what one that ended had taken goes with it."""
        found: dict[str, Taken] = {}
        for process, now in self.taken.items():
            share = now - before.taken.get(process, Taken())
            kind = self.kinds[process]
            found[kind] = found.get(kind, Taken()) + share
        return found


def kind_of(command: str) -> str:
    """Name a process as a person would; of one that is not known give its own words."""
    for target in TARGETS:
        if target.title in command:
            return target.name
    return " ".join(Path(word).name for word in command.split()[:3]) or "(none)"


def taken(pid: int) -> Taken | None:
    """Read what a living process has taken, in all of its threads."""
    try:
        # The command's name stands in brackets and may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        threads = [each.read_text() for each in Path(f"/proc/{pid}/task").glob("*/status")]
    except OSError:  # it has just ended
        return None
    waits = sum(_number(each, "voluntary_ctxt_switches") for each in threads)
    return Taken((int(fields[11]) + int(fields[12])) / _TICKS, waits)


def _number(status: str, name: str) -> int:
    for line in status.splitlines():
        if line.startswith(f"{name}:"):
            return int(line.partition(":")[2])
    return 0
