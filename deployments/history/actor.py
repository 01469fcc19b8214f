"""The history actor: owns the column store, keeps telemetry coming, and drains the ledger into it.

chDB lets one process open its folder, so there is one such actor in the cluster; every other
process asks it. With CLICKHOUSE_URL set it speaks to the server instead, by the same SQL.
"""

import asyncio
import logging
import os
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np
import ray
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from config_store.alias_follower import AliasFollower
from deployments.api.impact import ImpactAsked, ImpactShown
from deployments.history.dataset_jobs import DatasetAsked, DatasetJob, DatasetJobs
from deployments.history.impact_jobs import ImpactJobs
from deployments.history.questions import FoundDecisions, Intervals, MetricSteps, News
from deployments.history.rollout_judge import RolloutJudge, living_replicas
from deployments.history.source_questions import BackfillAsked, BackfillBegun, Checked
from deployments.runtime.log_files import write_logs
from deployments.telemetry.demo import Demo
from deployments.telemetry.service import TelemetryService
from features.functions.modules import FunctionModules
from features.hours.stored import stored_hours, worker_minutes
from features.rows import FeatureRow
from features.telemetry import stored as telemetry_store
from features.telemetry.merged import interval_rows, scope_of
from features.telemetry.seen import entities as entities_seen
from features.telemetry.source_states import Backfill
from features.telemetry.steps import step_means
from features.telemetry.tables import (
    ColumnStore,
    create_measurements,
    drop_made_up,
    keep_for,
)
from observability.clickhouse import Clickhouse
from observability.clickhouse.home import claim
from observability.clickhouse.lease import RENEW_SECONDS, Lease, platform_id
from observability.clickhouse.opening import open_store
from observability.errors import ClickhouseError, ClickhouseUnavailableError, ServerTakenError
from observability.exposition import snapshot
from observability.ledger.archive import Archive
from observability.ledger.audit_report import AuditReport
from observability.ledger.audit_run import AuditRun
from observability.ledger.drain import Drain
from observability.ledger.lookup import FoundRows, Lookup
from observability.metrics import Metrics
from observability.schema import create_tables, refine_decisions
from observability.snapshots import Publisher
from observability.timeline import store as timeline_store
from observability.timeline.drain import TimelineDrain
from observability.timeline.kinds import Kind
from observability.timeline.store import Page
from settings.environment import Settings
from settings.redis_connection import REDIS_AWAY, open_redis

DRAIN_SECONDS = 5.0
# Who just changed something looks for it on the timeline.
TIMELINE_SECONDS = 1.0
# It looks at the evidence once a minute; what was decided is carried out soon.
JUDGE_SECONDS = 2.0
# Who trained a model, or moved an alias, looks for it soon.
ALIASES_SECONDS = 2.0
PUBLISH_SECONDS = 1.0
# While the stream is long it may be read from end to end for a proof, but not for those who left.
PROOF_SECONDS = 8.0
# Between two steps of what takes a while after an update: the rest of the work is in no hurry.
REST_SECONDS = 1.0
CLAIM_AGAIN_SECONDS = 0.5
BACKGROUND = 10
DAY, MINUTE = 86_400, 60
# An entity of which nothing came for so long is not listed any more.
ENTITY_DAYS = 60
# The list is read off all that was measured, and somebody may ask for it all the time.
ENTITIES_SECONDS = 15.0
# Of one answer about a metric: what a forecast takes.
MOST_STEPS = 20_000


log = logging.getLogger(__name__)


@ray.remote(num_cpus=0.1, max_restarts=-1, max_task_retries=0)
class History:
    """One a cluster; restarted by Ray when it dies, and then goes on where the store says."""

    async def __init__(self) -> None:  # type: ignore[misc] # Ray awaits it
        os.nice(BACKGROUND)  # answers first: the drain may lag behind them for a while
        self._settings = Settings()
        self._lease: Lease | None = None
        write_logs(self._settings, "history")
        self._redis, self._store = await self._opened(self._settings)
        self._metrics = Metrics(CollectorRegistry())
        self._publisher = Publisher(self._redis, "history")
        dead_letters = self._metrics.ledger_dead_letters
        self._drain = Drain(self._redis, self._store, on_dead_letter=dead_letters.inc)
        self._timeline_drain = TimelineDrain(self._redis, self._store, time.time)
        self._lookup = Lookup(self._redis, self._store)
        self._archive = Archive(self._store)
        self._judge = RolloutJudge(self._redis, self._archive, time.time)
        models = self._settings.paths.models
        self._aliases = AliasFollower(self._redis, models, time.time, self._somebody_answers)
        self._audit = AuditRun(self._redis, self._store, time.time)
        self._impacts = ImpactJobs(self._redis, self._store, self._settings.paths.models)
        self._entities: list[dict[str, Any]] = []
        self._entities_until = 0.0
        self._entities_lock = asyncio.Lock()
        demo = Demo(self._store, self._settings)
        modules = FunctionModules(self._settings.functions_folder, self._settings.paths.functions)
        self._telemetry = TelemetryService(
            self._store,
            self._redis,
            self._metrics,
            demo,
            modules,
            keep_days=self._settings.measurement_days,
        )
        await self._telemetry.start()
        folder = self._settings.paths.datasets
        self._datasets = DatasetJobs(
            self._store,
            folder,
            self._telemetry.facts_of,
            catalogue_of=self._telemetry.definitions.catalogue,
            kept=modules.kept,
        )
        await self._datasets.start()
        self._start_loops()

    async def _opened(self, settings: Settings) -> tuple[Redis, Clickhouse]:
        """Open Redis and the store; where one cannot be had, close what was opened."""
        async with AsyncExitStack() as undo:
            redis = open_redis(settings.redis_address, settings.redis_prefix)
            undo.push_async_callback(redis.aclose)
            if settings.clickhouse_url is None:
                await self._claim_archive(redis, settings)
            store = await asyncio.to_thread(
                open_store, settings.clickhouse_url, settings.paths.history
            )
            undo.push_async_callback(asyncio.to_thread, store.close)
            if settings.clickhouse_url is not None:
                self._lease = Lease(store, await platform_id(redis))
                await asyncio.to_thread(self._lease.take)
                undo.push_async_callback(asyncio.to_thread, self._lease.end)
            await asyncio.to_thread(create_tables, store)
            await asyncio.to_thread(create_measurements, store)
            await asyncio.to_thread(keep_for, store, settings.measurement_days)
            if settings.clickhouse_url is None:
                await asyncio.to_thread(refine_decisions, store)
                await asyncio.to_thread(drop_made_up, store)
            undo.pop_all()
        return redis, store

    @staticmethod
    async def _claim_archive(redis: Redis, settings: Settings) -> None:
        """Open no folder but the archive's; Redis knows which, and is waited for."""
        node = ray.util.get_node_ip_address()
        while True:
            try:
                await claim(redis, settings.paths.history, node)
            except REDIS_AWAY as away:
                log.warning(
                    "Redis cannot be reached, and only Redis knows where the archive is: %r", away
                )
                await asyncio.sleep(CLAIM_AGAIN_SECONDS)
            else:
                return

    def _start_loops(self) -> None:
        """Begin what goes on by itself after a restart, whoever asked for the actor first."""
        loops = self._metrics.loops
        away = (*REDIS_AWAY, ClickhouseUnavailableError)
        loops.start("drain the ledger", self._drain.go_on, lambda: DRAIN_SECONDS, expected=away)
        loops.start(
            "drain the timeline", self._timeline_drain.step, lambda: TIMELINE_SECONDS, expected=away
        )
        loops.start("judge the rollout", self._judge.step, lambda: JUDGE_SECONDS, expected=away)
        loops.start(
            "follow model aliases",
            self._aliases.step,
            lambda: ALIASES_SECONDS,
            expected=REDIS_AWAY,
        )
        loops.start("fill rows by id", self._fill_rows_by_id, lambda: REST_SECONDS, expected=away)
        if self._lease is not None:
            renew = partial(self._renew, self._lease)
            loops.start("renew the lease", renew, lambda: RENEW_SECONDS, expected=away)
        loops.start("publish metrics", self._publish, lambda: PUBLISH_SECONDS, expected=REDIS_AWAY)

    async def _somebody_answers(self) -> bool:
        return bool(await living_replicas(self._redis))

    async def _renew(self, lease: Lease) -> None:
        """Hold the server; who lost it to another writes nothing more."""
        try:
            await asyncio.to_thread(lease.renew)
        except ServerTakenError:
            log.critical("The history ends: another one writes in its place", exc_info=True)
            os._exit(1)

    async def _fill_rows_by_id(self) -> None:
        await asyncio.to_thread(self._archive.fill_rows_by_id)

    def progress(self) -> tuple[str, float]:
        """Tell what the actor is at, and which share of it is done."""
        return self._telemetry.progress()

    async def filled(self) -> int:
        """Wait until there is the telemetry that a start needs; count the rows that came in."""
        return await self._telemetry.filled()

    async def made_up(self) -> bool:
        """Tell whether the telemetry is the demo's; waits until that is known."""
        await self._telemetry.filled()
        return self._telemetry.made_up

    async def training_rows(self, days: int) -> dict[str, Any]:
        until = int(time.time())
        return await asyncio.to_thread(
            telemetry_store.training_rows, self._store, until - days * DAY, until
        )

    async def hours(self, days: int) -> dict[str, dict[str, Any]]:
        """Give every entity's request rate by the hour, and its exchange where it has one."""
        until = int(time.time())
        found = await asyncio.to_thread(stored_hours, self._store, until, days)
        return {
            entity: {
                "start": each.start,
                "rate": each.request_rate,
                "exchange": self._telemetry.facts_of(entity).exchange,
            }
            for entity, each in found.items()
        }

    async def worker_minutes(self, days: int) -> dict[str, Any]:
        """Give the minutes that capacity plans are learned from."""
        until = int(time.time())
        return await asyncio.to_thread(worker_minutes, self._store, until - days * DAY, until)

    async def metric(self, entity: str, metric: str, minutes: int) -> Any:
        """Give the latest minutes of one metric of an entity, oldest first."""
        until = int(time.time())
        since = until - minutes * MINUTE
        return await asyncio.to_thread(
            telemetry_store.metric, self._store, entity, metric, since, until
        )

    async def series(
        self, entity: str, metric: str, seconds: int, step_s: int | None
    ) -> MetricSteps:
        """Give the latest seconds of one metric of an entity, as it was measured or in steps."""
        until = int(time.time())
        scope = (entity, metric, until - seconds, until)
        return await asyncio.to_thread(_metric_steps, self._store, *scope, step_s)

    async def latest(self, entities: Sequence[str]) -> dict[str, FeatureRow]:
        return await self._telemetry.features.latest(entities)

    async def news(self, version: str) -> News | None:
        """Tell what was stored of late; nothing where that is what this version told."""
        return self._telemetry.news(version)

    async def intervals(
        self, entities: Sequence[str], metrics: Sequence[str], since: int, until: int
    ) -> Intervals:
        """Give these metrics of intervals that begin in [since, until)."""
        rows = await asyncio.to_thread(self._interval_rows, entities, list(metrics), since, until)
        found = {name: rows[name] for name in metrics}
        return Intervals(rows["entity"], rows["ts"], found)

    def _interval_rows(
        self, entities: Sequence[str], metrics: list[str], since: int, until: int
    ) -> Any:
        scope = scope_of(self._store, since, until, entities)
        return interval_rows(self._store, metrics, scope)

    async def entities(self) -> list[dict[str, Any]]:
        """Tell which entities were measured lately, by whom and how completely."""
        async with self._entities_lock:  # who asks meanwhile gets the same answer
            if not self._entities or time.monotonic() >= self._entities_until:
                since = int(time.time()) - ENTITY_DAYS * DAY
                found = await asyncio.to_thread(entities_seen, self._store, since)
                self._entities = [asdict(each) for each in found]
                self._entities_until = time.monotonic() + ENTITIES_SECONDS
        return self._entities

    async def rows(self, decision_ids: list[str]) -> FoundDecisions:
        return _for_gateways(await self._lookup.rows(decision_ids))

    async def search(self, decision_id: str, within_s: float) -> FoundDecisions:
        """Look for a decision that `rows` left unsearched; after so long nobody waits for it."""
        return _for_gateways(await self._lookup.search(decision_id, within_s))

    async def decisions(
        self, limit: int, family: str | None, since: datetime | None
    ) -> list[dict[str, Any]]:
        return await self._lookup.newest(limit, family=family, since=since)

    async def violations(
        self, limit: int, family: str | None, severity: str | None, since: datetime | None
    ) -> list[dict[str, Any]]:
        """List the latest decisions that broke a limit."""
        return await self._lookup.violations(limit, family=family, severity=severity, since=since)

    async def timeline(
        self,
        limit: int,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        kinds: Sequence[Kind] = (),
        entity: str | None = None,
        before: str | None = None,
    ) -> Page:
        """Read what changed, newest first; `before` is the `next` of the page in front."""
        return await asyncio.to_thread(
            partial(
                timeline_store.read,
                self._store,
                limit,
                since=since,
                until=until,
                kinds=kinds,
                entity=entity,
                before=before,
            )
        )

    async def proof(self, decision_id: str) -> dict[str, Any] | None:
        async with asyncio.timeout(PROOF_SECONDS):
            found = await self._lookup.proof(decision_id)
        return None if found is None else found.to_json()

    async def begin_audit(self) -> AuditReport:
        """Begin to verify the ledger, which may take minutes; `audit` says how far it is."""
        return self._audit.begin()

    async def audit(self) -> AuditReport:
        """Give the latest audit, running or done."""
        return self._audit.report()

    async def begin_impact(self, asked: ImpactAsked) -> ImpactShown | None:
        """Begin to replay recorded decisions under a version; None where too many wait."""
        return await self._impacts.begin(asked)

    async def impact(self, version: int) -> ImpactShown | None:
        """Give the latest replay of a version: how far it is, or what it found."""
        return await self._impacts.get(version)

    async def cancel_impact(self, version: int) -> ImpactShown | None:
        return await self._impacts.cancel(version)

    async def begin_dataset(self, asked: DatasetAsked) -> DatasetJob | None:
        """Begin a training set; None where too many wait."""
        return await self._datasets.begin(asked)

    async def datasets(self) -> list[DatasetJob]:
        """Tell how far each training set of the last day is."""
        return [*self._datasets.jobs.values()]

    async def remove_dataset(self, job_id: str) -> DatasetJob | None:
        return await self._datasets.remove(job_id)

    async def dataset_piece(self, job_id: str, offset: int) -> bytes | None:
        return await self._datasets.piece(job_id, offset)

    async def begin_backfill(self, asked: BackfillAsked) -> BackfillBegun:
        """Begin to fetch a stretch of a source's past anew; `backfill` says how far it is."""
        return await self._telemetry.begin_backfill(asked)

    async def cancel_backfill(self, source: str) -> Backfill | None:
        return await self._telemetry.cancel_backfill(source)

    async def backfill(self, source: str) -> Backfill | None:
        return await self._telemetry.backfill(source)

    async def check_source(self, source: str) -> Checked | None:
        """Ask a source once for its newest intervals."""
        return await self._telemetry.check(source)

    async def drain_now(self) -> None:
        """Move what is in the ledger's stream at this moment; for a clean stop."""
        while await self._drain.step():
            continue

    async def close(self) -> None:
        await self._impacts.close()
        await self._datasets.close()
        await self._telemetry.close()
        await self._metrics.loops.stop()
        await self._audit.close()
        if self._lease is not None:
            with suppress(ClickhouseError):  # it ends by itself, a while later
                await asyncio.to_thread(self._lease.end)
        await asyncio.to_thread(self._store.close)
        await self._redis.aclose()

    async def _publish(self) -> None:
        await self._publisher.publish(snapshot(self._metrics.registry, time.time()))


def _for_gateways(found: FoundRows) -> FoundDecisions:
    trouble = None if found.trouble is None else str(found.trouble)
    return FoundDecisions(found.rows, trouble, found.unsearched)


def _metric_steps(
    store: ColumnStore, entity: str, metric: str, since: int, until: int, step_s: int | None
) -> MetricSteps:
    ts, values = telemetry_store.timed_metric(store, entity, metric, since, until)
    if step_s is None:
        there = np.isfinite(values)  # the other rows are of the entity's other metrics
        ts, values = ts[there], values[there]
    else:
        ts, values = step_means(ts, values, step_s, until)
    return MetricSteps(ts[-MOST_STEPS:], values[-MOST_STEPS:])
