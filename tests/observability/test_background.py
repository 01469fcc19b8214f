"""The one kind of background loop: it outlives whatever its step raises, and shows how it fares."""

import asyncio
import logging

import pytest
from prometheus_client import CollectorRegistry

from observability import background
from observability.background import CANCEL_AGAIN_SECONDS, BackgroundLoop, Loops, end
from observability.exposition import document, merge, snapshot
from observability.metrics import GAUGE_RULES, Metrics
from tests.waiting import until


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Failing:
    """A step that raises these, one after the other, and then works."""

    def __init__(self, *errors: BaseException) -> None:
        self._errors = list(errors)
        self.calls = 0
        self.successes = 0

    async def __call__(self) -> None:
        self.calls += 1
        if self._errors:
            raise self._errors.pop(0)
        self.successes += 1


@pytest.fixture(autouse=True)
def _short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "FIRST_BACKOFF_SECONDS", 0.002)


@pytest.mark.parametrize(
    "error", [ConnectionError("away"), MemoryError(), KeyError("k"), asyncio.CancelledError()]
)
async def test_a_loop_outlives_whatever_its_step_raises(error: BaseException) -> None:
    """A CancelledError that nobody sent is a failure like others: libraries let some out."""
    loops, step = Loops(), Failing(error, error)
    loops.start("work", step, lambda: 0.001)
    await until(lambda: step.successes >= 3)
    assert loops.failures() == {"work": 2}
    await loops.stop()
    assert loops.failures() == {"work": 2}
    assert loops.ages() == {}


async def test_a_group_of_tasks_that_failed_once_ends_no_loop_later() -> None:
    """On Python 3.11 it leaves its task counted as cancelled, though nobody did that."""
    steps: list[str] = []

    async def fail() -> None:
        raise ConnectionError("away")

    async def work() -> None:
        steps.append("begun")
        if len(steps) == 1:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
        if len(steps) == 2:
            raise asyncio.CancelledError  # as libraries let one out

    loops = Loops()
    loops.start("work", work, lambda: 0.001)
    await until(lambda: len(steps) >= 4)
    await loops.stop()
    assert loops.failures() == {"work": 2}


async def test_a_failure_is_logged_once_with_its_trace_and_then_now_and_then(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    step = Failing(*[ValueError(str(n)) for n in range(12)])
    loop = BackgroundLoop("work", step, lambda: 0.001, longest_backoff=0.004, clock=clock)
    with caplog.at_level(logging.INFO):
        loop.start()
        await until(lambda: step.calls >= 6)
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        assert caplog.records[0].exc_info is not None
        clock.now += 61
        await until(lambda: step.successes >= 1)
        await loop.stop()
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR", "INFO"]


async def test_what_is_expected_is_one_line_and_not_backed_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    step = Failing(*[ConnectionError("Redis is away") for _ in range(5)])
    loop = BackgroundLoop("work", step, lambda: 0.001, expected=(OSError,))
    with caplog.at_level(logging.WARNING):
        loop.start()
        await until(lambda: step.successes >= 1)
    await loop.stop()
    (record,) = caplog.records
    assert (record.levelname, record.exc_info) == ("WARNING", None)
    assert loop.failures == 5


async def test_a_pause_that_cannot_be_computed_does_not_end_the_loop() -> None:
    step = Failing()
    pauses = iter([0.0])

    loop = BackgroundLoop("work", step, lambda: next(pauses, None) or _broken())
    loop.start()
    await until(lambda: step.successes >= 4)
    assert loop.failures >= 2
    await loop.stop()


def _broken() -> float:
    raise LookupError("no such setting")


async def test_a_step_that_hangs_shows_by_its_age_and_in_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "LATE_SECONDS", 0.01)
    metrics = Metrics(CollectorRegistry())
    clock = Clock()
    metrics.loops = Loops(clock)
    metrics.registry = CollectorRegistry()
    metrics.registry.register(metrics.loops)
    metrics.loops.start("hang", lambda: asyncio.sleep(3600), lambda: 0.0)
    await until(lambda: "in one step" in caplog.text)
    clock.now += 120
    shown = document(merge([snapshot(metrics.registry, 0)], now=0, rules=GAUGE_RULES))
    (age,) = shown["background_last_success_age_seconds"]["samples"]
    assert (age["labels"], age["value"]) == ({"loop": "hang"}, 120)
    await metrics.loops.stop()


async def test_a_step_that_has_more_to_do_is_called_again_at_once() -> None:
    left = 50

    async def work() -> bool:
        nonlocal left
        left -= 1
        return left > 0

    loop = BackgroundLoop("work", work, lambda: 3600.0)
    loop.start()
    await until(lambda: left == 0)
    await loop.stop()


async def test_a_pause_ends_when_the_loop_is_woken() -> None:
    wake, step = asyncio.Event(), Failing()
    loop = BackgroundLoop("work", step, lambda: 3600.0, wake=wake)
    loop.start()
    for times in range(1, 4):
        await until(lambda times=times: step.calls == times)  # type: ignore[misc] # bound now
        wake.set()
    await until(lambda: step.calls == 4)
    await loop.stop()


async def test_finishing_lets_the_step_come_to_its_end() -> None:
    begun, ended = asyncio.Event(), []

    async def work() -> None:
        begun.set()
        await asyncio.sleep(0.02)
        ended.append("in full")

    loop = BackgroundLoop("work", work, lambda: 3600.0)
    loop.start()
    await begun.wait()
    await loop.finish()
    assert ended == ["in full"]


async def test_ending_waits_until_the_work_has_been_left() -> None:
    left = []

    async def careful() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            left.append("all is put away")

    task = asyncio.create_task(careful())
    await asyncio.sleep(0)
    await end(task)
    assert left == ["all is put away"]


async def test_a_cancellation_that_was_lost_is_sent_again() -> None:
    """As on Python 3.11, whose wait_for loses one that arrives together with its result."""
    lost = 0

    async def forgetful() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if lost == 2:
                    raise
                lost += 1

    tasks = [asyncio.create_task(forgetful()) for _ in range(2)]
    await asyncio.sleep(0)
    async with asyncio.timeout(100 * CANCEL_AGAIN_SECONDS):
        await end(*tasks)
    assert [task.cancelled() for task in tasks] == [True, True]
    assert lost == 2


async def test_what_is_over_already_needs_no_ending() -> None:
    async def brief() -> None:
        """End at once."""

    task = asyncio.create_task(brief())
    await task
    await end(task)
    await end()
