"""Does the jobs of one kind, one at a time, in the order in which they were asked for."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic

from deployments.jobs.job import AnyJob, JobFailedError, KeptJobs, State, interrupt, is_over
from settings.redis_connection import REDIS_AWAY

CANCEL_SECONDS = 5.0

Work = Callable[[threading.Event], Awaitable[None]]
"""Does one job and notes on its record how far it is; ends early once the event is set."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Going(Generic[AnyJob]):
    """A job that waits for its turn, or has it."""

    job: AnyJob
    end: threading.Event = field(default_factory=threading.Event)
    task: asyncio.Task[None] | None = None


class JobQueue(Generic[AnyJob]):
    """Those that go on are here, those that are over where they are kept; for one event loop."""

    def __init__(
        self,
        title: str,
        kept: KeptJobs[AnyJob],
        wall: Callable[[], float],
        most: int,
        *,
        expected: tuple[type[Exception], ...] = (),
    ) -> None:
        """Take what the log calls a job, how many may go on, and what may happen to their work."""
        self._title = title
        self._kept = kept
        self._wall = wall
        self._most = most
        self._expected = expected
        self._turn = asyncio.Lock()
        self._going: dict[str, _Going[AnyJob]] = {}
        self._closing = False

    async def begin(self, key: str, job: AnyJob, work: Work) -> AnyJob | None:
        """Take a job on, or give the one of this key that goes on; None where too many wait."""
        while (other := self._going.get(key)) is not None:
            if not is_over(other.job):
                return other.job
            await _end_of(other)
        if len(self._going) >= self._most:
            return None
        going = self._going[key] = _Going(job)
        try:
            await self._kept.save(key, job)
        except BaseException:
            del self._going[key]
            raise
        going.task = asyncio.create_task(self._do(key, going, work), name=f"{self._title} {key}")
        going.task.add_done_callback(lambda _: self._going.pop(key))
        await asyncio.sleep(0)  # a task that is cancelled before its first step notes no end
        return job

    def going(self) -> dict[str, AnyJob]:
        """Give those that wait or are done now, with what is known of them at this moment."""
        return {key: each.job for key, each in self._going.items()}

    async def get(self, key: str) -> AnyJob | None:
        """Give a job as it goes on, or as it was kept."""
        if key in self._going:
            return self._going[key].job
        kept = await self._kept.get(key)
        if kept is not None and not is_over(kept):
            interrupt(kept)
        return kept

    async def cancel(self, key: str) -> AnyJob | None:
        """End a job that goes on, with what it has found; of one that is over forget it."""
        going = self._going.get(key)
        if going is None or is_over(going.job):
            return await self._forget(key, going)
        going.end.set()
        if going.task is not None:
            if going.job.state == "queued":
                going.task.cancel()
            await asyncio.wait([going.task], timeout=CANCEL_SECONDS)
        return going.job

    async def _forget(self, key: str, going: _Going[AnyJob] | None) -> AnyJob | None:
        if going is not None:
            await _end_of(going)
        found = await self.get(key)
        if found is not None:
            await self._kept.forget(key)
        return found

    async def close(self) -> None:
        """End those that go on: they are told to have been interrupted."""
        self._closing = True
        tasks = [each.task for each in self._going.values() if each.task is not None]
        for each in self._going.values():
            each.end.set()
            if each.task is not None and not is_over(each.job):  # else its end is being kept
                each.task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _do(self, key: str, going: _Going[AnyJob], work: Work) -> None:
        job = going.job
        state, reason = await self._outcome(key, going, work)
        if state is None:
            interrupt(job)
        else:
            job.state, job.reason = state, reason
        job.ended_at = self._wall()
        try:
            await self._kept.save(key, job)
        except REDIS_AWAY as away:
            log.warning("%s %s: how it ended cannot be kept: %r", self._title, key, away)

    async def _outcome(
        self, key: str, going: _Going[AnyJob], work: Work
    ) -> tuple[State | None, str | None]:
        """Work, and give how that ended; no state where it was interrupted."""
        try:
            async with self._turn:
                going.job.state = "running"
                await work(going.end)
        except asyncio.CancelledError:
            is_wished = going.end.is_set() and not self._closing
            return ("cancelled" if is_wished else None), None
        except JobFailedError as failed:
            return "failed", str(failed)
        except self._expected as error:
            log.warning("%s %s came to nothing: %s", self._title, key, error)
            return "failed", f"{type(error).__name__}: {error}"
        except Exception as error:
            log.exception("%s %s cannot be done", self._title, key)
            return "failed", f"{type(error).__name__}: {error}"
        if self._closing:
            return None, None
        return ("cancelled" if going.end.is_set() else "done"), None


async def _end_of(going: _Going[AnyJob]) -> None:
    """Wait for one that is over, and whose end is being kept."""
    if going.task is not None:
        await asyncio.wait([going.task])
