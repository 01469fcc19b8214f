"""Asks the process beside the replica: lines of JSON there and back, one task at a time.

The process begins with the first task, has a low priority, and ends when its input does: with
the replica, however that dies. One that dies is begun anew with the next task; what it had in hand
is lost, and whoever asked for it hears so.
"""

import asyncio
import itertools
import os
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).parents[3]
MODULE = "deployments.runtime.helper.worker"
# A frozen experiment is under a megabyte, a study of 10,000 trials a few.
LONGEST_LINE = 64 * 1024 * 1024
END_SECONDS = 2.0
# Nothing that is asked for takes a tenth of it.
PATIENCE_SECONDS = 120.0
# One part in seventy of what answers requests, where both want the processor.
BEHIND_ALL = 19
# One part in ten: of what a person waits for at a terminal, and rarely.
AWAITED = 10


class HelperLostError(Exception):
    """The process died over its task, or the task failed in it."""


class TaskFailedError(HelperLostError):
    """The task failed; the process is well, and would only fail at it again."""


class HelperProcess:
    """One process; tasks wait for each other in it."""

    def __init__(
        self,
        module: str = MODULE,
        patience_s: float = PATIENCE_SECONDS,
        niceness: int = BEHIND_ALL,
    ) -> None:
        self._module = module
        self._patience = patience_s
        self._niceness = niceness
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._process: Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    async def do(self, task: str, **ask: Any) -> Any:
        """Give what the task finds; HelperLostError when nothing comes of it."""
        # The queue is here and not in the pipe: who gives up waiting leaves nothing to be done.
        async with self._turn:
            return await self._do(task, ask)

    async def _do(self, task: str, ask: dict[str, Any]) -> Any:
        pipe = await self._pipe()
        number, waiting = next(self._numbers), self._waiting
        found = waiting[number] = asyncio.get_running_loop().create_future()
        try:
            pipe.write(orjson.dumps([number, task, ask]) + b"\n")
            await pipe.drain()
            async with asyncio.timeout(self._patience):
                return await found
        except TimeoutError as late:
            self._kill()
            raise HelperLostError(
                f"the helper process did not finish the task {task} in time"
            ) from late
        except (ConnectionError, RuntimeError) as broken:
            raise HelperLostError(
                f"the helper process did not accept the task {task}: {broken}"
            ) from broken
        finally:
            waiting.pop(number, None)

    async def close(self) -> None:
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            async with asyncio.timeout(END_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        if self._reading is not None:
            await self._reading

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def _pipe(self) -> asyncio.StreamWriter:
        if self._process is None or self._process.returncode is not None:
            # What the one before left unanswered is not this one's to lose.
            self._waiting = {}
            self._process = await self._begun()
            self._reading = asyncio.create_task(_read(self._process, self._waiting))
        pipe = self._process.stdin
        if pipe is None:
            raise HelperLostError("the helper process has no input pipe")
        return pipe

    async def _begun(self) -> Process:
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        alone = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            self._module,
            str(self._niceness),
            stdin=PIPE,
            stdout=PIPE,
            limit=LONGEST_LINE,
            env=os.environ | alone | {"PYTHONPATH": os.pathsep.join(paths)},
        )


async def _read(process: Process, waiting: dict[int, asyncio.Future[Any]]) -> None:
    """Hand out what comes back, until the process ends; then nothing will come of the rest."""
    answers = process.stdout
    while answers is not None and (line := await answers.readline()):
        number, found, failure = orjson.loads(line)
        asked = waiting.get(number)
        if asked is None or asked.done():
            continue
        if failure is None:
            asked.set_result(found)
        else:
            asked.set_exception(TaskFailedError(failure))
    await process.wait()
    for asked in waiting.values():
        if not asked.done():
            asked.set_exception(HelperLostError("the helper process died"))
