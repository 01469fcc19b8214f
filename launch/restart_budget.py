"""Bounds how often something is started again: what dies each minute needs a person."""

from collections import deque
from collections.abc import Callable


class RestartBudget:
    """So many restarts in so many seconds."""

    def __init__(self, most: int, within_s: float, clock: Callable[[], float]) -> None:
        self.most = most
        self.within_s = within_s
        self._clock = clock
        self._taken: deque[float] = deque()

    @property
    def used(self) -> int:
        while self._taken and self._clock() - self._taken[0] > self.within_s:
            self._taken.popleft()
        return len(self._taken)

    def take(self) -> bool:
        """Use one up; False when none is left."""
        if self.used >= self.most:
            return False
        self._taken.append(self._clock())
        return True
