"""Large requests leave the processor to short ones: they rest after each part of their work.

A part itself is short, but parts that follow each other at once fill the processor, and every step
of a short request then waits for one. So after each part a large request rests, for a multiple of
what the part took, as long as somebody asks short questions. It rests less when its own deadline
would not allow for so much, and not at all when it is alone.
"""

import asyncio
import math
import time
from collections.abc import Callable, Generator
from typing import Any, TypeVar

# Large requests then take a fifth of the time of what they share with others.
REST = 4.0
# One part that took long took it elsewhere, in a process of low priority.
LONGEST_REST_SECONDS = 0.05
# Somebody who asked this recently will ask again.
OTHERS_SECONDS = 0.25
# Of the time to a deadline: a part may take twice as long as the one before.
SHARE_OF_TIME_LEFT = 0.5

T = TypeVar("T")


class Turns:
    """Knows whether others ask short questions, and how long a large request rests then."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asked_at = float("-inf")

    def note_short(self) -> None:
        """Note that somebody asks a short question just now."""
        self._asked_at = self._clock()

    def rest_s(self, spent_s: float, parts_left: int = 0, time_left_s: float = 0.0) -> float:
        """Say how long to rest after a part; with parts left they must fit into the time left."""
        if self._clock() - self._asked_at >= OTHERS_SECONDS:
            return 0.0
        rest = min(REST * spent_s, LONGEST_REST_SECONDS)
        if parts_left:
            spare = SHARE_OF_TIME_LEFT * time_left_s - parts_left * spent_s
            rest = min(rest, spare / parts_left)
        return max(rest, 0.0)

    async def give(self, spent_s: float, at_most_s: float = math.inf) -> float:
        """Rest after a part that took so long; let others have the loop in any case.

        Gives the seconds of the rest.
        """
        rest = min(self.rest_s(spent_s), at_most_s)
        await asyncio.sleep(rest)
        return rest

    async def run(
        self,
        steps: Generator[Any, None, T],
        most_rest_s: float,
        timer: Callable[[], float] = time.perf_counter,
    ) -> T:
        """Take all steps, of a millisecond or so; others get their turn after each.

        Gives what the steps return.
        """
        rest_left = most_rest_s
        while True:
            started = timer()
            try:
                next(steps)
            except StopIteration as done:
                result: T = done.value
                return result
            rest_left -= await self.give(timer() - started, rest_left)
