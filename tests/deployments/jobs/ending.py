"""Waiting for the end of a job, by whichever kind of jobs it is asked for."""

import asyncio
from collections.abc import Awaitable, Callable

from deployments.jobs.job import AnyJob, is_over
from tests.waiting import PATIENCE_SECONDS


async def ended(get: Callable[[], Awaitable[AnyJob | None]]) -> AnyJob:
    """Give the job as it is once it is over."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            found = await get()
            assert found is not None
            if is_over(found):
                return found
            await asyncio.sleep(0.01)
