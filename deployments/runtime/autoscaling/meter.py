"""What a replica tells of its load: its work, how long others wait for it, what it reserves."""

import asyncio
import time
from collections.abc import Callable

from deployments.runtime import own_cluster
from deployments.runtime.autoscaling.signals import BUSY, RESERVED, SPARE, WAIT
from deployments.runtime.autoscaling.spare_cores import SpareCores

# Of so many between two reports, within these bounds; each costs some microseconds.
PROBES = 12
PROBE_SECONDS = 0.25
SELDOMEST_SECONDS = 1.0


class BusyMeter:
    """Tells how many cores a process has used since it was last asked."""

    def __init__(self) -> None:
        self._cpu, self._at = time.process_time(), time.monotonic()

    def cores(self) -> float:
        cpu, at = time.process_time(), time.monotonic()
        cores = (cpu - self._cpu) / max(at - self._at, 1e-9)
        self._cpu, self._at = cpu, at
        return cores


class LoopWait:
    """Tells how late a process's event loop comes to what is due.

    A batch or request that comes in waits as long, on either transport: in the kernel's buffer,
    until the loop has done what came before.
    """

    def __init__(self) -> None:
        self.at_each_probe: list[Callable[[], None]] = []
        self._late_s, self._probes = 0.0, 0
        self._timer: asyncio.TimerHandle | None = None
        self._pause_s, self._reported_at = PROBE_SECONDS, time.monotonic()

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + self._pause_s
        self._timer = loop.call_at(due, self._probe, loop, due)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def seconds(self) -> float:
        """Give the mean since it was last asked; 0 where there was no probe since.

        Who asks seldom, as where replicas are held, has it probed less often.
        """
        now = time.monotonic()
        between, self._reported_at = now - self._reported_at, now
        self._pause_s = min(max(between / PROBES, PROBE_SECONDS), SELDOMEST_SECONDS)
        late_s, probes = self._late_s, self._probes
        self._late_s, self._probes = 0.0, 0
        return late_s / probes if probes else 0.0

    def _probe(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self._late_s += max(loop.time() - due, 0.0)
        self._probes += 1
        self.start()
        for look in self.at_each_probe:
            look()


class LoadMeter:
    """One for a replica; Serve asks for the report, and whoever else asks changes it."""

    def __init__(self) -> None:
        self._busy = BusyMeter()
        self._wait = LoopWait()
        self._spare = SpareCores()
        self._reserved: float | None = None
        self._more: list[Callable[[], dict[str, float]]] = []

    def start(self) -> None:
        self._wait.start()

    def stop(self) -> None:
        self._wait.stop()

    def also(self, look: Callable[[], None], report: Callable[[], dict[str, float]]) -> None:
        """Have this look at each probe, and add its figures to each report."""
        self._wait.at_each_probe.append(look)
        self._more.append(report)

    def report(self) -> dict[str, float]:
        """Give what was measured since the last report."""
        if self._reserved is None:
            self._reserved = own_cluster.reserved_cpus()
        found = {
            BUSY: self._busy.cores(),
            WAIT: self._wait.seconds(),
            SPARE: self._spare.cores(),
            RESERVED: self._reserved,
        }
        for more in self._more:
            found |= more()
        return found
