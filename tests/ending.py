"""The end of a test's event loop, which comes whatever the test left running in it.

asyncio cancels each task that is left once, and waits for all of them without end. On Python 3.11
one that meets redis-py in its wait_for around a send is lost (cpython issue 81839): what a fixture
that failed has begun may then go on for ever, and pytest's limit of time ends with a failure.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextvars import Context
from typing import Any, TypeVar

from pytest_asyncio import plugin

T = TypeVar("T")
Task = asyncio.Task[Any]

# Who hears a cancellation is over in no time; after this long it was lost, and is sent again.
HEARD_WITHIN_SECONDS = 5.0
ENDS_WITHIN_SECONDS = 40.0


class StillRunningError(Exception):
    """A task goes on, however often it is cancelled; the message says where it is."""


class EndingRunner(asyncio.Runner):  # type: ignore[misc] # it is final for types alone
    """The loop that pytest-asyncio runs fixtures and tests in."""

    def run(self, coro: Coroutine[Any, Any, T], *, context: Context | None = None) -> T:
        """Run it; where it is left behind, end it before fixtures are put away.

        The limit of time is raised wherever the loop is just then, in its waiting for instance.
        """
        try:
            return super().run(coro, context=context)
        except BaseException:
            ended(self.get_loop(), lambda task: task.get_coro() is coro)
            raise

    def close(self) -> None:
        """Close the loop; raises StillRunningError, with the loop closed, where a task goes on."""
        try:
            loop = self.get_loop()
        except RuntimeError:  # it was closed before
            return
        left = ended(loop, lambda _: True)
        if not left:
            super().close()
            return
        asyncio.set_event_loop(None)
        loop.close()
        raise StillRunningError("; ".join(f"{each.get_name()}: {_where(each)}" for each in left))


def use_it() -> None:
    """Have pytest-asyncio run its loops by it, for which it has no setting."""
    vars(plugin)["Runner"] = EndingRunner


def ended(loop: asyncio.AbstractEventLoop, is_meant: Callable[[Task], bool]) -> set[Task]:
    """Cancel tasks until they are over, or for so long; give those that are not."""
    if loop.is_closed() or not any(map(is_meant, asyncio.all_tasks(loop))):
        return set()
    return loop.run_until_complete(_ended(is_meant))


async def _ended(is_meant: Callable[[Task], bool]) -> set[Task]:
    loop, own = asyncio.get_running_loop(), asyncio.current_task()
    until = loop.time() + ENDS_WITHIN_SECONDS
    while left := {each for each in asyncio.all_tasks() if each is not own and is_meant(each)}:
        if loop.time() >= until:
            return left
        for each in left:
            each.cancel()
        over, _ = await asyncio.wait(left, timeout=HEARD_WITHIN_SECONDS)
        for each in over:
            _tell_failure(each)
    return set()


def _tell_failure(task: Task) -> None:
    """Say what a task ended by instead, as asyncio does of those that it cancels."""
    if not task.cancelled() and (error := task.exception()) is not None:
        told = {"message": "a task failed when it was cancelled", "exception": error, "task": task}
        task.get_loop().call_exception_handler(told)


def _where(task: Task) -> str:
    return " > ".join(_awaits(task.get_coro()))


def _awaits(waiting: Any) -> Iterator[str]:
    """Name what each waits in, from the task's own function to the innermost."""
    while (frame := getattr(waiting, "cr_frame", None)) is not None:
        yield f"{frame.f_code.co_qualname} (line {frame.f_lineno})"
        waiting = waiting.cr_await
