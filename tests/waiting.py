"""Waiting for what another task, thread or process is about to do."""

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

# Only a test that fails waits as long: half of the processor may be somebody else's.
PATIENCE_SECONDS = 120.0


async def until(holds: Callable[[], bool], within_seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + within_seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.005)


async def eventually(holds: Callable[[], Any]) -> None:
    """Wait until what is asked, as by a coroutine, is so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = holds()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.01)


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait where there is no event loop."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)
