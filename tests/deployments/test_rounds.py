import asyncio
import logging

import pytest

from deployments.rounds import CANCEL_AGAIN_SECONDS, end, every
from tests.waiting import until


async def test_a_round_comes_again_and_again_even_after_a_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls = 0

    async def work() -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise ConnectionError("Redis is away")

    with caplog.at_level(logging.ERROR):
        task = asyncio.create_task(every(lambda: 0.001, work))
        await until(lambda: calls >= 4)
        await end(task)
    assert task.cancelled()
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_the_pause_between_rounds_may_change() -> None:
    pauses: list[float] = []

    def pause() -> float:
        pauses.append(60.0 if pauses else 0.0)
        return pauses[-1]

    async def work() -> None:
        """Do nothing: the pauses are what is looked at."""

    task = asyncio.create_task(every(pause, work))
    await until(lambda: pauses == [0.0, 60.0])
    await end(task)


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
    assert not task.cancelled()
