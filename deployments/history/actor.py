"""The history actor: owns the column store, keeps telemetry coming, and drains the ledger into it.

chDB lets one process open its folder, so there is one such actor in the cluster; every other
process asks it. With CLICKHOUSE_URL set it speaks to the server instead, by the same SQL.
"""

import asyncio
import logging
import os
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any

import ray
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from deployments.history.questions import FoundDecisions
from deployments.runtime.log_files import write_logs
from features.hours.stored import stored_hours, worker_minutes
from features.rows import FeatureRow
from features.sources.simulator.platform import Platform
from features.store import publish
from features.telemetry import stored as telemetry_store
from features.telemetry import tables as telemetry_tables
from observability.clickhouse import Clickhouse
from observability.clickhouse.home import claim
from observability.clickhouse.opening import open_store
from observability.errors import ClickhouseUnavailableError
from observability.exposition import snapshot
from observability.ledger.archive import Archive
from observability.ledger.audit_report import AuditReport
from observability.ledger.audit_run import AuditRun
from observability.ledger.drain import Drain
from observability.ledger.lookup import FoundRows, Lookup
from observability.metrics import Metrics
from observability.schema import create_tables, refine_decisions
from observability.snapshots import Publisher
from settings.environment import Settings
from settings.redis_connection import REDIS_AWAY, open_redis

TICK_SECONDS = 5.0
DRAIN_SECONDS = 5.0
BASELINE_SECONDS = 3600.0
PUBLISH_SECONDS = 1.0
# While the stream is long it may be read from end to end for a proof, but not for those who left.
PROOF_SECONDS = 8.0
# Between two steps of what takes a while after an update: the rest of the work is in no hurry.
REST_SECONDS = 1.0
CLAIM_AGAIN_SECONDS = 0.5
BACKGROUND = 10
DAY, MINUTE = 86_400, 60
# What an entity that the platform does not know of is taken to follow.
USUAL_EXCHANGE = "XNYS"
# The simulator's name among the sources.
DEMO = "demo"
# A month at a time keeps the memory flat; each insert is synced to the disk, so few and large ones.
FILL_CHUNK = 30 * DAY


log = logging.getLogger(__name__)


@ray.remote(num_cpus=0.1, max_restarts=-1, max_task_retries=0)
class History:
    """One a cluster; restarted by Ray when it dies, and then goes on where the store says."""

    async def __init__(self) -> None:  # type: ignore[misc] # Ray awaits it
        os.nice(BACKGROUND)  # answers first: the drain may lag behind them for a while
        self._settings = Settings()
        write_logs(self._settings, "history")
        self._redis, self._store = await self._opened(self._settings)
        self._metrics = Metrics(CollectorRegistry())
        self._publisher = Publisher(self._redis, "history")
        dead_letters = self._metrics.ledger_dead_letters
        self._drain = Drain(self._redis, self._store, on_dead_letter=dead_letters.inc)
        self._lookup = Lookup(self._redis, self._store)
        self._archive = Archive(self._store)
        self._audit = AuditRun(self._redis, self._store, time.time)
        self._platform = Platform(self._settings.seed)
        self._normal: dict[str, dict[str, float]] = {}
        self._learned_at = float("-inf")
        self._newest: dict[str, int] = {}
        self._progress = ("Opening the history", 0.0)
        self._filled: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._start_loops()

    @classmethod
    async def _opened(cls, settings: Settings) -> tuple[Redis, Clickhouse]:
        """Open Redis and the store; where one cannot be had, close what was opened."""
        async with AsyncExitStack() as undo:
            redis = open_redis(settings.redis_address, settings.redis_prefix)
            undo.push_async_callback(redis.aclose)
            if settings.clickhouse_url is None:
                await cls._claim_archive(redis, settings)
            store = await asyncio.to_thread(
                open_store, settings.clickhouse_url, settings.paths.history
            )
            undo.push_async_callback(asyncio.to_thread, store.close)
            await asyncio.to_thread(create_tables, store)
            await asyncio.to_thread(telemetry_tables.create_measurements, store)
            if settings.clickhouse_url is None:
                await asyncio.to_thread(refine_decisions, store)
                await asyncio.to_thread(telemetry_tables.drop_made_up, store)
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
        loops.start("fill rows by id", self._fill_rows_by_id, lambda: REST_SECONDS, expected=away)
        loops.start("keep up telemetry", self._keep_up, lambda: TICK_SECONDS)
        loops.start("publish metrics", self._publish, lambda: PUBLISH_SECONDS, expected=REDIS_AWAY)

    async def _fill_rows_by_id(self) -> None:
        await asyncio.to_thread(self._archive.fill_rows_by_id)

    def progress(self) -> tuple[str, float]:
        """Tell what the actor is at, and which share of it is done."""
        return self._progress

    async def filled(self) -> int:
        """Wait until the telemetry has reached the present minute; count the rows that it took."""
        return await asyncio.shield(self._filled)

    async def training_rows(self, days: int) -> dict[str, Any]:
        until = int(time.time())
        return await asyncio.to_thread(
            telemetry_store.training_rows, self._store, until - days * DAY, until
        )

    async def hours(self, days: int) -> dict[str, dict[str, Any]]:
        """Give every entity's request rate by the hour, and the exchange whose clock it follows."""
        until = int(time.time())
        found = await asyncio.to_thread(stored_hours, self._store, until, days)
        exchanges = {each.name: each.exchange for each in self._platform.services}
        return {
            entity: {
                "start": each.start,
                "rate": each.request_rate,
                "exchange": exchanges.get(entity, USUAL_EXCHANGE),
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

    async def latest(self, entities: Sequence[str]) -> dict[str, FeatureRow]:
        return await asyncio.to_thread(
            telemetry_store.latest, self._store, entities, self._normal, int(time.time())
        )

    async def rows(self, decision_ids: list[str]) -> FoundDecisions:
        return _for_gateways(await self._lookup.rows(decision_ids))

    async def search(self, decision_id: str, within_s: float) -> FoundDecisions:
        """Look for a decision that `rows` left unsearched; after so long nobody waits for it."""
        return _for_gateways(await self._lookup.search(decision_id, within_s))

    async def decisions(
        self, limit: int, family: str | None, since: datetime | None
    ) -> list[dict[str, Any]]:
        return await self._lookup.newest(limit, family=family, since=since)

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

    async def drain_now(self) -> None:
        """Move what is in the ledger's stream at this moment; for a clean stop."""
        while await self._drain.step():
            continue

    async def close(self) -> None:
        await self._metrics.loops.stop()
        await self._audit.close()
        await asyncio.to_thread(self._store.close)
        await self._redis.aclose()

    def _fill_all(self, now: int) -> int:
        newest = telemetry_store.newest(self._store)
        start_of_history = (now // DAY - self._settings.history_days) * DAY
        stop = now // MINUTE * MINUTE
        added = 0
        entities = self._platform.entities
        for at, entity in enumerate(entities):
            start = max(newest.get(entity, 0) + MINUTE, start_of_history)
            added += self._fill_entity(entity, start, stop, at / len(entities))
            self._newest[entity] = stop - MINUTE
        self._progress = ("Filling the telemetry", 1.0)
        return added

    def _fill_entity(self, entity: str, start: int, stop: int, done: float) -> int:
        added = 0
        for chunk in range(start, stop, FILL_CHUNK):
            minutes = self._platform.minutes(entity, chunk, min(chunk + FILL_CHUNK, stop))
            known_ms = telemetry_tables.milliseconds(time.time())
            telemetry_tables.append(self._store, minutes, source=DEMO, known_ms=known_ms)
            added += len(minutes)
            share = (chunk - start) / max(stop - start, 1) / len(self._platform.entities)
            self._progress = (f"Filling the telemetry of {entity}", done + share)
        return added

    async def _keep_up(self) -> None:
        """Append the minutes that have passed, and publish what they say."""
        stop = int(time.time()) // MINUTE * MINUTE
        if self._newest and all(newest + MINUTE >= stop for newest in self._newest.values()):
            return
        try:
            added = await asyncio.to_thread(self._fill_all, int(time.time()))
            await self._learn_normal()
            await self._publish_features()
        except Exception as error:
            self._tell_waiters(error)
            raise
        if not self._filled.done():
            self._filled.set_result(added)

    def _tell_waiters(self, error: Exception) -> None:
        """Let those who wait for the telemetry hear of a failure; later ones wait anew."""
        if self._filled.done():
            return
        self._filled.set_exception(error)
        self._filled.exception()  # it is told, even where nobody waits
        self._filled = asyncio.get_running_loop().create_future()

    async def _learn_normal(self) -> None:
        now = time.monotonic()
        if now - self._learned_at >= BASELINE_SECONDS:
            until = int(time.time())
            self._normal = await asyncio.to_thread(telemetry_store.baselines, self._store, until)
            self._learned_at = now

    async def _publish(self) -> None:
        await self._publisher.publish(snapshot(self._metrics.registry, time.time()))

    async def _publish_features(self) -> None:
        now = time.time()
        rows = [
            (entity, telemetry_store.feature_row(self._platform.live(entity, now), normal))
            for entity, normal in self._normal.items()
            if entity in self._platform.entities
        ]
        if rows:
            await publish(self._redis, rows)


def _for_gateways(found: FoundRows) -> FoundDecisions:
    trouble = None if found.trouble is None else str(found.trouble)
    return FoundDecisions(found.rows, trouble, found.unsearched)
