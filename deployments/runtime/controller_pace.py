"""How often Serve's controller looks at everything: seldom while nothing is to be done.

A turn takes some milliseconds of it and of Ray's control store, which it asks three times. What
takes several turns, as a start or the replacement of a dead replica, goes on at the usual interval;
that there is something to do is seen up to a second later.
"""

import time
from collections.abc import Callable

from deployments.runtime import ray_internals

CALM_SECONDS = 1.0
# Where something has just been done, more mostly follows.
SETTLED_AFTER_SECONDS = 15.0


class Pace:
    """Says how long to rest until the next turn."""

    def __init__(self, usual_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._usual_s = usual_s
        self._clock = clock
        self._moved_at = clock()

    def rest(self, calm: bool) -> float:
        """Take what was seen in this turn; give the seconds until the next one."""
        now = self._clock()
        if not calm:
            self._moved_at = now
        settled = now - self._moved_at >= SETTLED_AFTER_SECONDS
        return max(CALM_SECONDS, self._usual_s) if settled else self._usual_s


def install() -> None:
    """Begin to pace the controller; Serve calls this in the controller's process."""
    ray_internals.pace_controller(Pace(ray_internals.controller_interval()).rest)
