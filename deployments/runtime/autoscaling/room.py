"""Which CPUs are free, without waiting for Ray to say so.

Its control store may be away or stopped, and an answer is waited for without a limit; whoever waits
here is Serve's controller, which would start no killed replica again meanwhile.
"""

import logging
import threading
import time
from collections.abc import Callable

from deployments.runtime import ray_internals

# Whether there is room changes when replicas come or go, which takes longer.
ASK_AGAIN_SECONDS = 1.0
KNOWN_SECONDS = 10.0

log = logging.getLogger(__name__)


class Room:
    """Asks in a thread, one at a time, and gives what it was told last."""

    def __init__(
        self,
        ask: Callable[[], list[float]] = lambda: ray_internals.free_cpus(),  # noqa: PLW0108 - looked up at each call
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._told: tuple[float, list[float]] | None = None
        self._asking: threading.Thread | None = None

    def free_cpus(self) -> list[float] | None:
        """Give them for each node, as they were seconds ago; None where nobody says."""
        now, told = self._clock(), self._told
        is_asking = self._asking is not None and self._asking.is_alive()
        if not is_asking and (told is None or now - told[0] > ASK_AGAIN_SECONDS):
            self._asking = threading.Thread(target=self._look, name="free cpus", daemon=True)
            self._asking.start()
        return list(told[1]) if told is not None and now - told[0] <= KNOWN_SECONDS else None

    def _look(self) -> None:
        asked = self._clock()
        try:
            self._told = asked, self._ask()
        except Exception:
            log.warning("It is not known which CPUs are free: no replica is added", exc_info=True)


def take(free: list[float], cpus: float) -> bool:
    """Take a place from the node that has most, if that is enough; tell whether it was."""
    node = max(range(len(free)), key=free.__getitem__, default=None)
    if node is None or free[node] < cpus - 1e-9:
        return False
    free[node] -= cpus
    return True


ROOM = Room()
