"""A folder of chDB, the engine of ClickHouse without a server, in a process of its own.

A process has one folder open, and the history's process has its own already. A child can be ended
where it takes too long, and ends by itself when nobody asks any more.
"""

import asyncio
import struct
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import orjson
import pyarrow as pa

from features.errors import SourceAwayError
from features.sources.clickhouse.engine import ANSWER_SECONDS, bounds
from features.sources.clickhouse.refusals import by_code, code_in, reason_in

HEAD: Final = struct.Struct("<?Q")
"""Whether it is an answer, and how many bytes follow."""
_PROGRAM: Final = "features.sources.clickhouse.embedded_child"
_MAY_SET: Final = 2
# To import the engine and to open the folder.
_OPENING_SECONDS: Final = 30.0


class EmbeddedClickhouse:
    """One folder; what is asked may only read."""

    def __init__(
        self,
        source: str,
        folder: str,
        *,
        database: str | None = None,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._source = source
        self._folder = folder
        self._database = database or "default"
        self._seconds = answer_seconds
        self._turn = asyncio.Lock()
        self._child: asyncio.subprocess.Process | None = None
        self._is_whole = True  # what was answered was read to its end

    async def ask(self, sql: str, params: Mapping[str, str]) -> pa.Table:
        async with self._turn:
            opening = 0.0 if self._child is not None else _OPENING_SECONDS
            try:
                async with asyncio.timeout(opening + self._seconds):
                    is_answer, content = await self._exchange({"sql": sql, "params": dict(params)})
            except TimeoutError:
                raise SourceAwayError(
                    self._source, f"its answer took over {self._seconds:g} s."
                ) from None
            finally:
                if not self._is_whole:
                    await self._end()
        if is_answer:
            return pa.ipc.open_stream(content).read_all()
        text = content.decode(errors="replace")
        raise by_code(self._source, code_in(text) or 0, reason_in(content), lasting=True)

    async def close(self) -> None:
        async with self._turn:
            await self._end()

    async def _exchange(self, question: Mapping[str, object]) -> tuple[bool, bytes]:
        self._is_whole = False
        child = self._child or await self._start()
        try:
            is_answer, content = await _ask_child(child, orjson.dumps(question) + b"\n")
        except (OSError, asyncio.IncompleteReadError):
            raise SourceAwayError(
                self._source,
                f"chDB cannot open {self._folder}, or ended. One process opens a folder at a time.",
            ) from None
        self._is_whole = True
        return is_answer, content

    async def _start(self) -> asyncio.subprocess.Process:
        if not await asyncio.to_thread(Path(self._folder).is_dir):
            raise SourceAwayError(self._source, f"there is no folder {self._folder}.")
        settings = bounds(self._seconds, _MAY_SET)
        self._child = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", _PROGRAM, self._folder, self._database, orjson.dumps(settings).decode()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        return self._child

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            with suppress(ProcessLookupError):
                child.kill()
            await child.communicate()


async def _ask_child(child: asyncio.subprocess.Process, question: bytes) -> tuple[bool, bytes]:
    if child.stdin is None or child.stdout is None:
        raise OSError
    child.stdin.write(question)
    await child.stdin.drain()
    is_answer, length = HEAD.unpack(await child.stdout.readexactly(HEAD.size))
    return is_answer, await child.stdout.readexactly(length)
