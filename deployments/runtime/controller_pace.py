"""How often Serve's controller looks at everything: seldom while nothing is to be done.

A turn takes some milliseconds of it and of Ray's control store, which it asks three times. What
takes several turns, as a start or the replacement of a dead replica, goes on at the usual interval;
that there is something to do is seen up to a second later.
"""

import time
from collections.abc import Callable

from deployments.runtime import ray_internals
from deployments.runtime.own_cluster import MAIN_THREAD_RESTS_SECONDS

CALM_SECONDS = 1.0
# Where something has just been done, more mostly follows.
SETTLED_AFTER_SECONDS = 15.0
# On one machine it is one node, which stays; what it has left is told with each look.
NODES_SECONDS = 5.0


class Pace:
    """Says how long to rest until the next turn."""

    def __init__(self, usual_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._usual_s = usual_s
        self._clock = clock
        self._moved_at = self._nodes_at = clock()

    @property
    def settled(self) -> bool:
        """Tell whether there has been nothing to do for long."""
        return self._clock() - self._moved_at >= SETTLED_AFTER_SECONDS

    def rest(self, calm: bool) -> float:
        """Take what was seen in this turn; give the seconds until the next one."""
        if not calm:
            self._moved_at = self._clock()
        return max(CALM_SECONDS, self._usual_s) if self.settled else self._usual_s

    def nodes_are_due(self) -> bool:
        """Tell whether this turn is to ask the control store about the nodes."""
        now = self._clock()
        if self.settled and now - self._nodes_at < NODES_SECONDS:
            return False
        self._nodes_at = now
        return True

    def main_thread_rest(self) -> float:
        """Give how long a call to the controller may wait; while it has nothing to do few come."""
        return MAIN_THREAD_RESTS_SECONDS if self.settled else 0.0


def install() -> None:
    """Begin to pace the controller; Serve calls this in the controller's process."""
    pace = Pace(ray_internals.controller_interval())
    ray_internals.pace_controller(pace.rest, pace.nodes_are_due)
    ray_internals.rest_before_signals(pace.main_thread_rest)
