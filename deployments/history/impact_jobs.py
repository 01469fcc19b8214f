"""Replays of recorded decisions under a version, beside the archive: one at a time, each bounded.

Rows are read here, a piece at a time and in the order in which they were drawn, and played in a
process of their own that ends with the replay. So it may end anywhere, by its time or by a person,
and what was read until then is a sample all the same. What came of each is kept in Redis.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from redis.asyncio import Redis

from config_store.errors import ConfigError
from config_store.steering.store import SteeringStore
from config_store.store import ConfigStore, Version
from deployments.api.impact import ImpactAsked, ImpactShown
from deployments.history.impact_pieces import Pieces
from deployments.impact.report import report_of
from deployments.impact.tally import Tally
from deployments.runtime.helper.process import HelperLostError, HelperProcess
from observability.clickhouse import Clickhouse
from observability.errors import ClickhouseError
from observability.ledger import sample
from settings.redis_connection import REDIS_AWAY
from settings.redis_names import redis_name

log = logging.getLogger(__name__)

PIECE = 200
MOST_SECONDS = 300.0
MOST_WAITING = 4
CANCEL_SECONDS = 5.0
# The reports of so many versions are kept; a report is a few tens of kilobytes.
MOST_KEPT = 30
RESTARTED = "the history was restarted meanwhile: ask for it again"


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
        self._redis = redis
        self._store = store
        self._models = models
        self._wall = wall
        self._monotonic = monotonic
        self._most_seconds = most_seconds
        self._configs = ConfigStore(redis)
        self._steering = SteeringStore(redis)
        self._key = redis_name(redis, "config", "impact")
        self._turn = asyncio.Lock()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._jobs: dict[int, ImpactShown] = {}
        self._cancelled: set[int] = set()

    async def begin(self, asked: ImpactAsked) -> ImpactShown | None:
        """Begin a replay, or give the one of this version that goes on; None where many wait.

        A version that does not exist, or cannot be read, raises ConfigError.
        """
        if asked.version in self._tasks:
            return self._jobs[asked.version]
        if len(self._tasks) >= MOST_WAITING:
            return None
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
        await self._keep(job)
        if asked.version in self._tasks:  # somebody else was quicker
            return self._jobs[asked.version]
        self._jobs[asked.version] = job
        task = asyncio.create_task(self._run(job, version), name=f"impact of {version.number}")
        self._tasks[asked.version] = task
        task.add_done_callback(lambda _: self._forget(asked.version))
        return job

    def _forget(self, number: int) -> None:
        """Let a replay go that is over: what came of it is in Redis."""
        self._tasks.pop(number, None)
        self._jobs.pop(number, None)
        self._cancelled.discard(number)

    async def get(self, number: int) -> ImpactShown | None:
        """Give the latest replay of a version: as it goes on, or as it was kept."""
        if number in self._tasks:
            return self._jobs[number]
        kept: Any = await self._redis.hget(self._key, str(number))
        found = None if kept is None else _read(kept)
        if found is not None and found.state in ("queued", "running"):
            found = found.model_copy(update={"state": "failed", "reason": RESTARTED})
        return found

    async def cancel(self, number: int) -> ImpactShown | None:
        """End a replay that goes on, with what it has found; of one that is over forget it."""
        task = self._tasks.get(number)
        if task is None:
            found = await self.get(number)
            await self._redis.hdel(self._key, str(number))
            return found
        job = self._jobs[number]
        self._cancelled.add(number)
        if job.state == "queued":
            task.cancel()
        await asyncio.wait([task], timeout=CANCEL_SECONDS)
        return job

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, job: ImpactShown, version: Version) -> None:
        helper = HelperProcess()
        try:
            async with self._turn:
                job.state = "running"
                await self._replay(job, version, helper)
        except asyncio.CancelledError:
            if job.version not in self._cancelled:
                job.state, job.reason = "failed", RESTARTED
        except (ClickhouseError, ConfigError, HelperLostError, *REDIS_AWAY) as error:
            log.warning("The impact of version %d is not known: %s", job.version, error)
            job.state, job.reason = "failed", f"{type(error).__name__}: {error}"
        except Exception as error:
            log.exception("The impact of version %d cannot be replayed", job.version)
            job.state, job.reason = "failed", f"{type(error).__name__}: {error}"
        finally:
            await helper.close()
        if job.state != "failed":
            job.state = "cancelled" if job.version in self._cancelled else "done"
        self._cancelled.discard(job.version)
        job.ended_at = self._wall()
        try:
            await self._keep(job)
        except REDIS_AWAY as away:
            log.warning("The impact of version %d is not kept: %r", job.version, away)

    async def _replay(self, job: ImpactShown, version: Version, helper: HelperProcess) -> None:
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
            if job.version in self._cancelled or self._monotonic() > deadline:
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

    async def _keep(self, job: ImpactShown) -> None:
        await self._redis.hset(self._key, str(job.version), job.model_dump_json())
        kept: dict[Any, Any] = await self._redis.hgetall(self._key)
        # By when they were asked for: the version may be an older one than all others.
        for number in sorted(kept, key=lambda each: _asked_at(kept[each]))[:-MOST_KEPT]:
            await self._redis.hdel(self._key, number)


def _asked_at(kept: bytes) -> float:
    found = _read(kept)
    return 0.0 if found is None else found.asked_at


def _read(kept: bytes) -> ImpactShown | None:
    try:
        return ImpactShown.model_validate_json(kept)
    except ValidationError:  # another release wrote it
        return None
