"""A loop is closed whatever goes on in it, and what cannot be ended is named."""

import asyncio
import sys

import pytest
from pytest_asyncio import plugin

from tests import ending
from tests.ending import EndingRunner, StillRunningError

FOREVER = 1_000_000


async def forgetful(losing: int, reached: asyncio.Event) -> None:
    """Lose so many cancellations, as redis-py does at times."""
    reached.set()
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            losing -= 1
            if losing < 0:
                raise


async def left_behind(losing: int) -> asyncio.Task[None]:
    reached = asyncio.Event()
    task = asyncio.create_task(forgetful(losing, reached), name="left behind")
    await reached.wait()
    return task


async def test_fixtures_and_tests_run_in_it() -> None:
    assert vars(plugin)["Runner"] is EndingRunner


@pytest.mark.parametrize("losing", [0, 3])
def test_what_loses_its_cancellation_gets_another(
    losing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "HEARD_WITHIN_SECONDS", 0.01)
    runner = EndingRunner()
    task = runner.run(left_behind(losing))
    loop = runner.get_loop()
    runner.close()
    assert task.cancelled()
    assert loop.is_closed()
    runner.close()  # as asyncio's own, once more does nothing


def test_a_cancellation_is_lost_on_this_python() -> None:
    """The reason for all of it: where this fails, asyncio's own runner is enough."""

    async def sends() -> str:
        await asyncio.wait_for(nothing(), 60.0)
        return "went on"

    async def nothing() -> None:
        """Be done at once, as the sending of a short command."""

    async def cancel_between() -> str:
        task = asyncio.create_task(sends())
        await asyncio.sleep(0)  # it has begun to send
        await asyncio.sleep(0)  # it has sent, and does not know it yet
        task.cancel()
        return await task

    with asyncio.Runner() as runner:
        assert runner.run(cancel_between()) == "went on"


def test_what_cannot_be_ended_is_named_and_the_loop_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ending, "HEARD_WITHIN_SECONDS", 0.01)
    monkeypatch.setattr(ending, "ENDS_WITHIN_SECONDS", 0.05)
    runner = EndingRunner()
    task, loop = runner.run(left_behind(FOREVER)), runner.get_loop()
    with pytest.raises(
        StillRunningError, match=r"left behind: forgetful \(line \d+\) > Event.wait"
    ):
        runner.close()
    assert loop.is_closed()
    task._log_destroy_pending = False  # type: ignore[attr-defined] # nobody else may hear of it


def test_what_the_limit_of_time_leaves_behind_is_over_before_fixtures_are_put_away() -> None:
    over = []

    async def waits() -> None:
        # Raised out of the loop while it waits, as the limit mostly is.
        asyncio.get_running_loop().call_soon(sys.exit)
        try:
            await asyncio.Event().wait()
        finally:
            over.append("the test")

    with EndingRunner() as runner:
        with pytest.raises(SystemExit):
            runner.run(waits())
        assert over == ["the test"]
