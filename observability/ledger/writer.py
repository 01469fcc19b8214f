"""Appends batches to the ledger, and returns only when each is where no kill can take it.

One flush is in flight at a time and takes every batch that waits, as a lane does with rows: the
chain stays in order, and under load many batches share one write.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from redis.asyncio import Redis

from observability.background import BackgroundLoop, Loops
from observability.errors import LedgerClosedError, LedgerUnavailableError, SpoolError
from observability.ledger.chain import Chain
from observability.ledger.decision import Decision
from observability.ledger.entry import Sealed, seal
from observability.ledger.output import LedgerOutput, SpoolFile
from observability.ledger.stream import LedgerStream
from settings.redis_connection import REDIS_AWAY

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AppendResult:
    """Where a batch lies: under this id in the stream, or (no id yet) in the spool."""

    entry_id: str | None
    spooled: bool


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. Redis's own forgetfulness is at most 2 s, so `keep` covers it and a check."""

    timeout: float = 0.3
    retry: float = 0.25
    check: float = 1.0
    sweep: float = 5.0
    keep: float = 4.0


USUAL = Timing()
# Of the time for an append. An fsync of the spool takes a few ms, and more on a busy disk.
REDIS_SHARE = 2 / 3


@dataclass(eq=False, slots=True)
class _Waiting:
    sealed: Sealed
    within_s: float
    result: asyncio.Future[AppendResult] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def stored(self, entry_id: str | None) -> None:
        if not self.result.done():  # whoever waited may have been cancelled
            self.result.set_result(AppendResult(entry_id, spooled=entry_id is None))

    def failed(self, error: LedgerUnavailableError) -> None:
        if not self.result.done():
            self.result.set_exception(error)


class LedgerWriter:
    """One process's writer. `writer` is its unique name (`decision.writer_name` makes one)."""

    def __init__(
        self,
        redis: Redis,
        *,
        writer: str,
        spool_dir: Path,
        clock: Callable[[], float],
        stream: str | None = None,
        timing: Timing = USUAL,
        loops: Loops | None = None,
    ) -> None:
        """Take a client that answers bytes; seconds since 1970 come from the clock."""
        log_stream = LedgerStream(redis, name=stream, timeout_s=timing.timeout)
        self._output = LedgerOutput(log_stream, SpoolFile(spool_dir, writer), timing.keep)
        self._writer = writer
        self._chain = Chain(writer)
        self._broken_chains = 0
        self._clock = clock
        self._timing = timing
        self._waiting: list[_Waiting] = []
        self._flushing: asyncio.Task[None] | None = None
        self._loops = loops or Loops()
        self._tending: BackgroundLoop | None = None
        self._swept_at = float("-inf")
        self._closed = False

    @property
    def degraded(self) -> bool:
        """Whether entries go to the spool at present."""
        return self._output.away

    @property
    def spooled_entries(self) -> int:
        """How many entries of this writer wait in its spool."""
        return self._output.spooled

    async def start(self) -> Self:
        """Begin to tend the spools: this writer's, and those that dead writers left behind."""
        self._tending = self._loops.start(
            "ledger tending",
            self._tend,
            self._pause,
            expected=(*REDIS_AWAY, SpoolError),
            wake=self._output.wake,
        )
        return self

    async def append(
        self, decisions: Sequence[Decision], within_s: float | None = None
    ) -> AppendResult:
        """Record one batch. Answer the clients only after this returned.

        Most of `within_s` goes to Redis; the rest is the disk's, which takes what Redis did not.
        Raises LedgerUnavailableError if neither Redis nor the disk took it.
        """
        if self._closed:
            raise LedgerClosedError("this ledger writer is closed")
        if not decisions:
            raise ValueError("a batch for the ledger needs at least one decision")
        redis_s = self._timing.timeout if within_s is None else within_s * REDIS_SHARE
        waiting = _Waiting(seal(decisions), redis_s)
        self._waiting.append(waiting)
        if self._flushing is None or self._flushing.done():
            # It writes for whoever comes: what it logs belongs to no request.
            self._flushing = asyncio.create_task(
                self._flush(), name="ledger-flush", context=Context()
            )
        return await waiting.result

    async def close(self) -> None:
        """Write what waits, try once more to empty the spool, let go of it. Redis stays open."""
        if self._closed:
            return
        self._closed = True
        if self._flushing is not None:
            await asyncio.wait([self._flushing])
        if self._tending is not None:
            # Asked to end, not cancelled: on Python 3.11 a cancellation that meets redis-py in
            # its wait_for around a send is lost (cpython issue 81839).
            await self._loops.finish(self._tending)
        if self._output.away:
            try:
                await self._output.recover()
            except SpoolError:  # the rest is to be let go of all the same
                log.exception("What Redis may have forgotten cannot be written to the spool")
        await self._output.close()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _flush(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            try:
                await self._write(group)
            except BaseException as error:  # whatever it was, nobody may wait forever
                self._fail(group, error)
                if not isinstance(error, Exception):
                    raise

    async def _write(self, group: list[_Waiting]) -> None:
        entries = self._chain.link([each.sealed for each in group], int(self._clock() * 1000))
        # Batches that share a write give Redis the longest of their times.
        ids = await self._output.put(entries, max(each.within_s for each in group))
        genesis = len(entries) - len(group)
        for waiting, entry_id in zip(group, ids[genesis:], strict=True):
            waiting.stored(entry_id)

    def _fail(self, group: list[_Waiting], error: BaseException) -> None:
        # Entries that were numbered are lost, unacknowledged. A new chain leaves no gap behind.
        self._broken_chains += 1
        self._chain = Chain(f"{self._writer}~{self._broken_chains}")
        log.error("the ledger cannot write decisions: %r", error)
        for waiting in group:
            waiting.failed(
                LedgerUnavailableError(f"Redis cannot be reached, and the spool failed: {error}")
            )

    async def _tend(self) -> None:
        if self._output.away:
            await self._output.recover()
            return
        await self._output.check_restart()
        now = asyncio.get_running_loop().time()
        if now - self._swept_at >= self._timing.sweep:
            await self._output.sweep()
            self._swept_at = now

    def _pause(self) -> float:
        return self._timing.retry if self._output.away else self._timing.check
