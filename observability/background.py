"""Work that a process repeats in the background: one kind of loop, which reports and goes on.

It lives in this room because the ledger's own loops use it, and every floor above may import it.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from contextvars import Context

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

CANCEL_AGAIN_SECONDS = 0.05
FIRST_BACKOFF_SECONDS = 0.1
LONGEST_BACKOFF_SECONDS = 5.0
LOG_AGAIN_SECONDS = 60.0
# No step is planned to take as long; one that hangs is said once, and its age shows on /metrics.
LATE_SECONDS = 60.0
LOOP_AGES = "background_last_success_age_seconds"

log = logging.getLogger(__name__)

Clock = Callable[[], float]
# A step that answers True is called again at once: there is more to do.
Step = Callable[[], Awaitable[bool | None]]


class BackgroundLoop:
    """Calls a step again and again; whatever the step raises is reported and ends nothing."""

    def __init__(
        self,
        name: str,
        step: Step,
        pause: Callable[[], float],
        *,
        expected: tuple[type[Exception], ...] = (),
        wake: asyncio.Event | None = None,
        longest_backoff: float = LONGEST_BACKOFF_SECONDS,
        clock: Clock = time.monotonic,
    ) -> None:
        """Take what to expect of a part that is away: it is logged in a line and not backed off."""
        self.name = name
        self.failures = 0
        self._step = step
        self._pause = pause
        self._expected = expected
        self._wake = wake or asyncio.Event()
        self._longest_backoff = longest_backoff
        self._clock = clock
        self._succeeded_at = clock()
        self._logged_at = float("-inf")
        self._failed_in_row = 0
        self._backoff = 0.0
        self._ending = False
        self._late: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def age_seconds(self) -> float:
        """How long ago the last success was; before the first one, how long the loop has run."""
        return self._clock() - self._succeeded_at

    def start(self) -> None:
        # What it logs belongs to no request, even where a request started it.
        self._task = asyncio.create_task(self._run(), name=self.name, context=Context())

    async def stop(self) -> None:
        """Cancel the step that runs and wait until it is over."""
        self._ending = True
        if self._task is not None:
            await end(self._task)

    async def finish(self) -> None:
        """Let the step that runs come to its end, and start no other."""
        self._ending = True
        self._wake.set()
        if self._task is not None:
            await self._task

    def note_success(self) -> None:
        """Count a success now; for a step that goes on for long."""
        if self._failed_in_row:
            log.info(
                "The background loop %r works again after %d failures",
                self.name,
                self._failed_in_row,
            )
        self._succeeded_at = self._clock()
        self._expect_success()
        self._failed_in_row, self._backoff = 0, 0.0
        self._logged_at = float("-inf")

    async def _run(self) -> None:
        while not self._ending:
            again = await self._attempt()
            if not again and not self._ending:
                await self._rest()

    async def _attempt(self) -> bool:
        self._expect_success()
        before = _cancellations()
        try:
            again = await self._step()
        except asyncio.CancelledError as cancelled:
            if self._ending or _cancellations() > before:
                raise
            self._note_failure(cancelled)  # somebody else's, which a library let out
        except Exception as error:  # noqa: BLE001 - the loop must outlive whatever it was
            self._note_failure(error)
        else:
            self.note_success()
            return bool(again)
        finally:
            if self._late is not None:
                self._late.cancel()
        return False

    def _note_failure(self, error: BaseException) -> None:
        self.failures += 1
        self._failed_in_row += 1
        expected = isinstance(error, self._expected)
        if not expected:
            longer = max(2 * self._backoff, FIRST_BACKOFF_SECONDS)
            self._backoff = min(longer, self._longest_backoff)
        if self._clock() - self._logged_at < LOG_AGAIN_SECONDS:
            return
        self._logged_at = self._clock()
        if expected:
            log.warning(
                "The background loop %r failed (%d times in a row): %r",
                self.name,
                self._failed_in_row,
                error,
            )
        else:
            log.error(
                "The background loop %r failed (%d times in a row)",
                self.name,
                self._failed_in_row,
                exc_info=error,
            )

    def _expect_success(self) -> None:
        if self._late is not None:
            self._late.cancel()
        self._late = asyncio.get_running_loop().call_later(LATE_SECONDS, self._report_late)

    def _report_late(self) -> None:
        log.error("The background loop %r has been in one step for %.0f s", self.name, LATE_SECONDS)

    async def _rest(self) -> None:
        seconds = self._seconds()
        if self._backoff:
            await asyncio.sleep(self._backoff)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(seconds - self._backoff, 0.0)):
                await self._wake.wait()
        self._wake.clear()

    def _seconds(self) -> float:
        try:
            return self._pause()
        except Exception as error:  # noqa: BLE001 - as in a step: it may read a setting
            self._note_failure(error)
            return 0.0  # the backoff is long enough


class Loops(Collector):
    """The background loops of one process, as /metrics shows them."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._running: list[BackgroundLoop] = []
        self._past_failures: Counter[str] = Counter()

    def start(
        self,
        name: str,
        step: Step,
        pause: Callable[[], float],
        *,
        expected: tuple[type[Exception], ...] = (),
        wake: asyncio.Event | None = None,
        longest_backoff: float = LONGEST_BACKOFF_SECONDS,
    ) -> BackgroundLoop:
        """Begin to call the step; what the loop is called becomes a label of its metrics."""
        loop = BackgroundLoop(
            name,
            step,
            pause,
            expected=expected,
            wake=wake,
            longest_backoff=longest_backoff,
            clock=self._clock,
        )
        loop.start()
        self._running.append(loop)
        return loop

    async def stop(self, *loops: BackgroundLoop) -> None:
        """Stop these loops, or all; those that were stopped before count no more."""
        for loop in loops or tuple(self._running):
            await loop.stop()
            self._forget(loop)

    async def finish(self, loop: BackgroundLoop) -> None:
        await loop.finish()
        self._forget(loop)

    def ages(self) -> dict[str, float]:
        """Tell how long ago each loop last succeeded, in seconds."""
        found: dict[str, float] = {}
        for loop in self._running:
            found[loop.name] = max(found.get(loop.name, 0.0), loop.age_seconds)
        return found

    def failures(self) -> dict[str, int]:
        """Tell how often each loop's step failed, of loops that are over too."""
        found = self._past_failures.copy()
        for loop in self._running:
            found[loop.name] += loop.failures
        return dict(found)

    def collect(self) -> Iterable[Metric]:
        failures = CounterMetricFamily(
            "background_failures_total", "Steps of background loops that failed.", labels=["loop"]
        )
        for name, count in self.failures().items():
            failures.add_metric([name], count)
        ages = GaugeMetricFamily(
            LOOP_AGES,
            "Seconds since a background loop last did its work.",
            labels=["loop"],
        )
        for name, age in self.ages().items():
            ages.add_metric([name], age)
        return [failures, ages]

    def _forget(self, loop: BackgroundLoop) -> None:
        if loop in self._running:
            self._running.remove(loop)
            self._past_failures[loop.name] += loop.failures


def _cancellations() -> int:
    """Count those that were asked for of the task that runs.

    Some may be nobody's: on Python 3.11 a TaskGroup leaves one when a task of it fails while the
    group only waits for its tasks.
    """
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


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
