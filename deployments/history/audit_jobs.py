"""Audits of the ledger, beside the archive: one at a time, and what the latest found is kept."""

import asyncio
import threading
from collections.abc import Callable
from functools import partial

from redis.asyncio import Redis

from deployments.api.audit import AuditShown
from deployments.jobs.kept import JobsInRedis
from deployments.jobs.queue import JobQueue
from observability.clickhouse import Clickhouse
from observability.errors import ObservabilityError
from observability.ledger.audit import audit_and_note
from settings.redis_connection import REDIS_AWAY
from settings.redis_names import redis_name

# There is one ledger, and so one key.
_LEDGER = "ledger"


class _EndedError(Exception):
    """The audit is to end before it has read everything."""


async def forget_audit(redis: Redis) -> None:
    """Know of no audit: when the archive that it was of is given up."""
    await _kept(redis).forget(_LEDGER)


def _kept(redis: Redis) -> JobsInRedis[AuditShown]:
    return JobsInRedis(redis, redis_name(redis, "ledger", "audit"), AuditShown, most=1)


class AuditJobs:
    """Those of one history; called from its event loop only."""

    def __init__(self, redis: Redis, store: Clickhouse, wall: Callable[[], float]) -> None:
        self._redis = redis
        self._store = store
        self._wall = wall
        self._queue = JobQueue(
            "The audit of the",
            _kept(redis),
            wall,
            most=1,
            # What may happen to an audit without a fault of ours.
            expected=(ObservabilityError, *REDIS_AWAY),
        )

    async def begin(self) -> AuditShown:
        """Begin an audit, unless one goes on: then that one is meant."""
        job = AuditShown(state="queued", asked_at=self._wall())
        begun = await self._queue.begin(_LEDGER, job, partial(self._verify, job))
        if begun is None:
            raise AssertionError  # there is one key, and room for one
        return begun

    async def get(self) -> AuditShown | None:
        """Give the latest audit: as it goes on, or as it was kept."""
        return await self._queue.get(_LEDGER)

    async def close(self) -> None:
        await self._queue.close()

    async def _verify(self, job: AuditShown, end: threading.Event) -> None:
        def tell(read: int, of: int) -> None:
            if end.is_set():
                raise _EndedError
            job.entries, job.of = read, of

        verifying = asyncio.ensure_future(audit_and_note(self._redis, self._store, tell))
        try:
            job.note(await asyncio.shield(verifying))
        except asyncio.CancelledError:
            # Its thread reads the store, which is closed next, and waits for this loop.
            await asyncio.wait([verifying])
            raise
