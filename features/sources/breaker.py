"""Spares a source that does not answer: it is asked again after a while, each time a longer one."""

from collections.abc import Callable
from typing import Literal

BreakerState = Literal["closed", "half open", "open"]

# One lost answer is an accident, three in a row are an outage.
FAILURES = 3
FIRST_SECONDS = 5.0
LONGEST_SECONDS = 60.0


class Breaker:
    """Closed: every call goes. Open: none does. Half open: one call tries whether it works again.

    The jitter keeps the callers of one source from coming back in the same moment.
    """

    def __init__(self, clock: Callable[[], float], jitter: Callable[[], float]) -> None:
        """Take a monotonic clock, and what draws from 0 to 1."""
        self._clock = clock
        self._jitter = jitter
        self._failed_in_row = 0
        self._open_until: float | None = None
        self._seconds = FIRST_SECONDS

    @property
    def failed_in_row(self) -> int:
        return self._failed_in_row

    @property
    def state(self) -> BreakerState:
        if self._open_until is None:
            return "closed"
        return "open" if self._clock() < self._open_until else "half open"

    @property
    def allows(self) -> bool:
        return self.state != "open"

    def succeed(self) -> None:
        self._failed_in_row, self._open_until, self._seconds = 0, None, FIRST_SECONDS

    def fail(self) -> None:
        self._failed_in_row += 1
        if self._open_until is not None:  # the trial failed
            self._seconds = min(2 * self._seconds, LONGEST_SECONDS)
        elif self._failed_in_row < FAILURES:
            return
        self._open_until = self._clock() + self._seconds * (0.5 + 0.5 * self._jitter())
