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

ROOT = Path(__file__).parents[2]
MODULE = "deployments.aside.worker"
# A frozen experiment is under a megabyte, a study of 10,000 trials a few.
LONGEST_LINE = 64 * 1024 * 1024
END_SECONDS = 2.0


class AsideLostError(Exception):
    """The process died over its task, or the task failed in it."""


class TaskFailedError(AsideLostError):
    """The task failed; the process is well, and would only fail at it again."""


class Aside:
    """One process; tasks wait for each other in it."""

    def __init__(self, module: str = MODULE) -> None:
        self._module = module
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._process: Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    async def do(self, task: str, **ask: Any) -> Any:
        """Give what the task finds; AsideLostError when nothing comes of it."""
        pipe = await self._pipe()
        number = next(self._numbers)
        found = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            pipe.write(orjson.dumps([number, task, ask]) + b"\n")
            await pipe.drain()
            return await found
        except (ConnectionError, RuntimeError) as broken:
            raise AsideLostError(f"the process beside took no {task}: {broken}") from broken
        finally:
            self._waiting.pop(number, None)

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

    async def _pipe(self) -> asyncio.StreamWriter:
        async with self._starting:
            if self._process is None or self._process.returncode is not None:
                self._process = await self._begun()
                self._reading = asyncio.create_task(self._read(self._process))
        pipe = self._process.stdin
        if pipe is None:
            raise AsideLostError("the process beside has no input")
        return pipe

    async def _begun(self) -> Process:
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        alone = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            self._module,
            stdin=PIPE,
            stdout=PIPE,
            limit=LONGEST_LINE,
            env=os.environ | alone | {"PYTHONPATH": os.pathsep.join(paths)},
        )

    async def _read(self, process: Process) -> None:
        """Hand out what comes back, until the process ends; then nothing will come of the rest."""
        answers = process.stdout
        while answers is not None and (line := await answers.readline()):
            number, found, failure = orjson.loads(line)
            waiting = self._waiting.get(number)
            if waiting is None or waiting.done():
                continue
            if failure is None:
                waiting.set_result(found)
            else:
                waiting.set_exception(TaskFailedError(failure))
        await process.wait()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(AsideLostError("the process beside died"))
