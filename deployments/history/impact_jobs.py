"""Replays of recorded decisions under a version, beside the archive: one at a time, each bounded.

Rows are read here, a piece at a time and in the order in which they were drawn, and played in a
process of their own that ends with the replay. So it may end anywhere, by its time or by a person,
and what was read until then is a sample all the same. What came of each is kept in Redis.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from redis.asyncio import Redis

from config_store.errors import ConfigError
from config_store.steering.store import SteeringStore
from config_store.store import ConfigStore, Version
from deployments.api.impact import ImpactAsked, ImpactShown
from deployments.history.impact_pieces import Pieces
from deployments.impact.report import report_of
from deployments.impact.tally import Tally
from deployments.jobs.kept import JobsInRedis
from deployments.jobs.queue import JobQueue
from deployments.runtime.helper.process import HelperLostError, HelperProcess
from observability.clickhouse import Clickhouse
from observability.errors import ClickhouseError
from observability.ledger import sample
from settings.redis_connection import REDIS_AWAY
from settings.redis_names import redis_name

PIECE = 200
MOST_SECONDS = 300.0
MOST_WAITING = 4
# The reports of so many versions are kept; a report is a few tens of kilobytes.
MOST_KEPT = 30
# What may happen to a replay without a fault of ours.
EXPECTED = (ClickhouseError, ConfigError, HelperLostError, *REDIS_AWAY)


class ImpactJobs:
    """Those of one history; called from its event loop only."""

    def __init__(
        self,
        redis: Redis,
        store: Clickhouse,
        models: Path,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        most_seconds: float = MOST_SECONDS,
    ) -> None:
        self._store = store
        self._models = models
        self._wall = wall
        self._monotonic = monotonic
        self._most_seconds = most_seconds
        self._configs = ConfigStore(redis)
        self._steering = SteeringStore(redis)
        name = redis_name(redis, "config", "impact")
        kept = JobsInRedis(redis, name, ImpactShown, MOST_KEPT)
        self._queue = JobQueue("The impact of version", kept, wall, MOST_WAITING, expected=EXPECTED)

    async def begin(self, asked: ImpactAsked) -> ImpactShown | None:
        """Begin a replay, or give the one of this version that goes on; None where many wait.

        A version that does not exist, or cannot be read, raises ConfigError.
        """
        version = await self._configs.get(asked.version)
        job = ImpactShown(
            version=version.number,
            config_hash=version.config_hash,
            state="queued",
            asked_by=asked.by,
            asked_at=self._wall(),
            since=asked.since,
            until=asked.until,
            rows=asked.rows,
        )
        return await self._queue.begin(str(job.version), job, partial(self._play, job, version))

    async def get(self, number: int) -> ImpactShown | None:
        """Give the latest replay of a version: as it goes on, or as it was kept."""
        return await self._queue.get(str(number))

    async def cancel(self, number: int) -> ImpactShown | None:
        """End a replay that goes on, with what it has found; of one that is over forget it."""
        return await self._queue.cancel(str(number))

    async def close(self) -> None:
        await self._queue.close()

    async def _play(self, job: ImpactShown, version: Version, end: threading.Event) -> None:
        helper = HelperProcess()
        try:
            await self._replay(job, version, helper, end)
        finally:
            await helper.close()

    async def _replay(
        self, job: ImpactShown, version: Version, helper: HelperProcess, end: threading.Event
    ) -> None:
        deadline = self._monotonic() + self._most_seconds
        within = int(job.since * 1000), int(job.until * 1000)
        recorded = await asyncio.to_thread(sample.count, self._store, *within)
        salt = version.config_hash
        drawn = await asyncio.to_thread(sample.draw, self._store, *within, salt, job.rows)
        job.drawn = len(drawn)
        freezes = [(each.begins, each.ends) for each in (await self._steering.read()).freezes]
        pieces = Pieces(self._store, self._configs, helper, self._models, version, freezes)
        tally = Tally()
        for begin in range(0, len(drawn), PIECE):
            if end.is_set() or self._monotonic() > deadline:
                break
            for outcome in await pieces.play(drawn[begin : begin + PIECE]):
                tally.add(outcome)
            job.read = tally.read
        answered_by = [
            each.document
            for number, each in pieces.versions.items()
            if each is not None and number in tally.versions
        ]
        job.report = report_of(job, tally, recorded, answered_by, version.document)
