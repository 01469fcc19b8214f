"""One audit at a time, in the background of whoever holds the archive."""

import asyncio
import logging
from collections.abc import Callable

from redis.asyncio import Redis

from observability.clickhouse import Clickhouse
from observability.errors import ObservabilityError
from observability.ledger import noted_heads
from observability.ledger.audit import Progress, audit
from observability.ledger.audit_report import AuditReport, finished, unfinished
from settings.redis_connection import REDIS_AWAY

log = logging.getLogger(__name__)


class _EndedError(Exception):
    """The audit's owner closes."""


async def audit_and_note(
    redis: Redis, store: Clickhouse, clock: Callable[[], float], progress: Progress
) -> AuditReport:
    """Audit against the heads of the last good audit, and note those of this one if it is good."""
    found = await audit(redis, store, pinned=await noted_heads.read(redis), progress=progress)
    if found.whole:
        await noted_heads.note(redis, found.heads)
    return finished(found, clock())


class AuditRun:
    """The latest audit, running or done."""

    def __init__(self, redis: Redis, store: Clickhouse, clock: Callable[[], float]) -> None:
        self._redis = redis
        self._store = store
        self._clock = clock
        self._report = unfinished("none")
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def begin(self) -> AuditReport:
        """Begin an audit, unless one runs; then that one is meant."""
        if self._task is None or self._task.done():
            self._report = unfinished("running")
            self._task = asyncio.create_task(self._run())
        return self._report

    def report(self) -> AuditReport:
        return self._report

    async def close(self) -> None:
        """End an audit that runs: the store is closed next."""
        self._closing = True
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            self._report = await audit_and_note(
                self._redis, self._store, self._clock, self._progress
            )
        except (ObservabilityError, *REDIS_AWAY, _EndedError) as error:
            log.warning("The audit of the ledger could not be completed: %r", error)
            self._report = _failed(error)
        except Exception as error:
            # Whoever waits for the end of it must hear of that, whatever it was.
            log.exception("The audit of the ledger failed")
            self._report = _failed(error)

    def _progress(self, read: int, of: int) -> None:
        if self._closing:
            raise _EndedError("the history is closing")
        self._report = unfinished("running", read, of)


def _failed(error: Exception) -> AuditReport:
    return unfinished("failed", failure=f"{type(error).__name__}: {error}")
