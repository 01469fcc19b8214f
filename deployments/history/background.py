"""What the history does by itself, whoever asked for it first: drains, the judge, the lease."""

import asyncio
import logging
import os
import time
from functools import partial

from prometheus_client import CollectorRegistry

from config_store.alias_follower import AliasFollower
from config_store.running import RunningVersions
from deployments.history.opening import Opened
from deployments.history.rollout_judge import RolloutJudge, roles_without
from observability.clickhouse.lease import RENEW_SECONDS, Lease
from observability.errors import ClickhouseUnavailableError, ServerTakenError
from observability.exposition import snapshot
from observability.ledger.archive import Archive
from observability.ledger.drain import Drain
from observability.metrics import Metrics
from observability.snapshots import Publisher
from observability.timeline.drain import TimelineDrain
from settings.environment import Settings
from settings.redis_connection import REDIS_AWAY

DRAIN_SECONDS = 5.0
# Who just changed something looks for it on the timeline.
TIMELINE_SECONDS = 1.0
# It looks at the evidence once a minute; what was decided is carried out soon.
JUDGE_SECONDS = 2.0
# Who trained a model, or moved an alias, looks for it soon.
ALIASES_SECONDS = 2.0
# Taking all metrics costs some milliseconds, and nobody waits for what the history counts.
PUBLISH_SECONDS = 5.0
# Between two steps of what takes a while after an update: the rest of the work is in no hurry.
REST_SECONDS = 1.0
# Once it is done, nothing of an earlier release comes any more.
DONE_SECONDS = 60.0

log = logging.getLogger(__name__)


class Background:
    """The loops of one history; each goes on after a restart where the store says."""

    def __init__(self, opened: Opened, settings: Settings) -> None:
        redis, store = opened.redis, opened.store
        self.metrics = Metrics(CollectorRegistry())
        self._lease = opened.lease
        self._publisher = Publisher(redis, "history")
        dead_letters = self.metrics.ledger_dead_letters
        self._drain = Drain(redis, store, on_dead_letter=dead_letters.inc)
        self._timeline_drain = TimelineDrain(redis, store, time.time)
        self._archive = Archive(store)
        self._judge = RolloutJudge(redis, self._archive, time.time)
        self._running = RunningVersions(redis)
        self._roles_without: list[str] = []
        self._fill_rest_s = REST_SECONDS
        models = settings.paths.models
        self._aliases = AliasFollower(redis, models, time.time, self._all_answer)

    def start(self) -> None:
        start = self.metrics.loops.start
        away = (*REDIS_AWAY, ClickhouseUnavailableError)
        start("drain the ledger", self._drain.go_on, lambda: DRAIN_SECONDS, expected=away)
        drain_timeline = self._timeline_drain.step
        start("drain the timeline", drain_timeline, lambda: TIMELINE_SECONDS, expected=away)
        start("judge the rollout", self._judge.step, lambda: JUDGE_SECONDS, expected=away)
        follow = self._aliases.step
        start("follow model aliases", follow, lambda: ALIASES_SECONDS, expected=REDIS_AWAY)
        start("fill rows by id", self._fill_rows_by_id, lambda: self._fill_rest_s, expected=away)
        if self._lease is not None:
            renew = partial(_renew, self._lease)
            start("renew the lease", renew, lambda: RENEW_SECONDS, expected=away)
        start("publish metrics", self._publish, lambda: PUBLISH_SECONDS, expected=REDIS_AWAY)

    async def stop(self) -> None:
        await self.metrics.loops.stop()

    async def drain_now(self) -> None:
        """Move what is in the ledger's stream at this moment."""
        while await self._drain.step():
            continue

    async def _all_answer(self) -> bool:
        """Tell whether a moved alias can come into force: a replica of each role has to load it."""
        without = await roles_without(self._running)
        if without and without != self._roles_without:
            log.info("Moved aliases wait for replicas of %s", ", ".join(without))
        self._roles_without = without
        return not without

    async def _fill_rows_by_id(self) -> None:
        more = await asyncio.to_thread(self._archive.fill_rows_by_id)
        self._fill_rest_s = REST_SECONDS if more else DONE_SECONDS

    async def _publish(self) -> None:
        await self._publisher.publish(snapshot(self.metrics.registry, time.time()))


async def _renew(lease: Lease) -> None:
    """Hold the server; who lost it to another writes nothing more."""
    try:
        await asyncio.to_thread(lease.renew)
    except ServerTakenError:
        log.critical("The history ends: another one writes in its place", exc_info=True)
        os._exit(1)
