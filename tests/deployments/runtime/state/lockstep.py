"""Tasks that go on one at a time, in an order drawn from a seed: an interleaving that comes again.

A task stops wherever it says `pause`, and goes on when it is drawn. Between two stops nothing else
runs, so that what a real Redis answers, and when, decides nothing.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any


class KilledError(BaseException):
    """The process of a task was killed: it gets no further, whatever it catches."""


class Lockstep:
    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._stopped: dict[asyncio.Task[Any], asyncio.Future[None]] = {}
        self._tasks: dict[asyncio.Task[Any], str] = {}
        self._settled = asyncio.Event()
        # Names of processes whose tasks are not drawn.
        self.hanging: set[str] = set()

    def start(self, process: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start a task of a process; it runs to its first stop when it is drawn."""

        async def call() -> Any:
            try:
                await self.pause()
            except KilledError:
                work.close()
                raise
            return await work

        task = asyncio.get_running_loop().create_task(call())
        self._tasks[task] = process
        task.add_done_callback(self._ended)
        return task

    async def pause(self) -> None:
        task = asyncio.current_task()
        if task not in self._tasks:
            return
        turn = asyncio.get_running_loop().create_future()
        self._stopped[task] = turn
        self._settled.set()
        await turn

    def kill(self, process: str) -> None:
        """End all tasks of a process where they stand."""
        for task, turn in list(self._stopped.items()):
            if self._tasks[task] == process:
                del self._stopped[task]
                turn.set_exception(KilledError())

    async def run(self, most_steps: int = 20_000) -> None:
        """Draw until all tasks are over."""
        for _ in range(most_steps):
            while len(self._stopped) < len(self._tasks):
                self._settled.clear()
                await self._settled.wait()
            if not self._tasks:
                return
            ready = [
                task for task in self._stopped if self._tasks[task] not in self.hanging
            ] or list(self._stopped)
            task = self._draw.choice(ready)
            self._stopped.pop(task).set_result(None)
            self._settled.clear()
            await self._settled.wait()
        raise AssertionError("the tasks came to no end")

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task)
        self._settled.set()
        if not task.cancelled():
            task.exception()  # whoever waits for it asks; nobody need


class Turn:
    """Stands for a lock whose waiting is a stop like any other."""

    def __init__(self, pause: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._pause = pause
        self._taken = False

    async def __aenter__(self) -> None:
        while self._taken:
            await self._pause()
        self._taken = True

    async def __aexit__(self, *_: object) -> None:
        self._taken = False
