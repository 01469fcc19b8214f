"""Waiting for what another task, thread or process is about to do."""

import asyncio
import time
from collections.abc import Callable

# Only a test that fails waits as long: half of the processor may be somebody else's.
PATIENCE_SECONDS = 120.0


async def until(holds: Callable[[], bool], within_seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + within_seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.005)
