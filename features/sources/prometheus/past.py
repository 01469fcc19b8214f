"""How far back a server goes, found with few and small questions."""

from collections.abc import Awaitable, Callable

WEEK = 7 * 86_400
HOUR = 3_600
_MOST_WEEKS = 1_024

First = Callable[[int, int, int], Awaitable[int | None]]
"""Gives the first time from one to another, by steps, at which there is anything."""


async def oldest(first: First, now: int, step: int) -> int | None:
    """Look back week by week, in longer and longer strides; None where there is nothing.

    A week of which nothing is known ends the past. Of a week, a look each hour is enough to see
    whether there is anything; the first hour is looked through by the step.
    """

    async def week(back: int) -> int | None:
        stop = now - back * WEEK
        return await first(stop - WEEK, stop, HOUR)

    if (found := await week(0)) is None:
        return await first(now - HOUR, now, step)
    known, unknown = 0, 1
    while unknown < _MOST_WEEKS and (earlier := await week(unknown)) is not None:
        found, known, unknown = earlier, unknown, 2 * unknown
    while unknown - known > 1:
        middle = (known + unknown) // 2
        if (earlier := await week(middle)) is None:
            unknown = middle
        else:
            found, known = earlier, middle
    return await first(found - HOUR, found, step) or found
