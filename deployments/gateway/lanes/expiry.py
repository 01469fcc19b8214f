"""Ends requests whose deadline is over.

One timer serves a lane: one for each request would cost as much as the rest of the lane.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Expiring(Protocol):
    deadline: float

    @property
    def done(self) -> bool: ...
    def expire(self) -> None: ...


Watched = TypeVar("Watched", bound=Expiring)


class Expiry(Generic[Watched]):
    """Watches requests until they are done; those that came first are mostly due first."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._watched: deque[Watched] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._due = float("inf")

    def watch(self, request: Watched) -> None:
        while self._watched and self._watched[0].done:
            self._watched.popleft()
        self._watched.append(request)
        if request.deadline < self._due:
            self._arm(request.deadline)

    def _arm(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        delay = max(due - self._clock(), 0.0)
        self._timer = asyncio.get_running_loop().call_later(delay, self._end, due)

    def _end(self, due: float) -> None:
        """End what was due by then, and wait for the next."""
        self._timer, self._due = None, float("inf")
        left = [each for each in self._watched if not each.done]
        for each in left:
            if each.deadline <= due:
                each.expire()
        self._watched = deque(each for each in left if not each.done)
        if self._watched:
            self._arm(min(each.deadline for each in self._watched))
