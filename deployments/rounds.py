"""Work that a process does again and again in the background, and how it is ended."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

CANCEL_AGAIN_SECONDS = 0.05

log = logging.getLogger(__name__)


async def every(seconds: Callable[[], float], work: Callable[[], Awaitable[None]]) -> None:
    """Do the work again and again; a failure is logged and does not end the round."""
    while True:
        await asyncio.sleep(seconds())
        try:
            await work()
        except Exception:
            log.exception("A background round failed; the next one comes as planned")


async def end(*tasks: "asyncio.Task[None]") -> None:
    """Cancel the tasks and wait until they are over.

    Once is not enough: on Python 3.11 asyncio.wait_for, which redis-py reads and writes through,
    loses a cancellation that arrives together with its result.
    """
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CANCEL_AGAIN_SECONDS)
