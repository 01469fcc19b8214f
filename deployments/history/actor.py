"""The history actor: answers what other processes ask of the column store, which it alone owns.

chDB lets one process open its folder, so there is one such actor in the cluster; every other
process asks it. With CLICKHOUSE_URL set it speaks to the server instead, by the same SQL. Each
answer is given by the part whose it is; here is only who is asked what.
"""

import os
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import ray

from deployments.api.audit import AuditShown
from deployments.api.datasets import DatasetShown
from deployments.api.impact import ImpactAsked, ImpactShown
from deployments.history.audit_jobs import AuditJobs
from deployments.history.background import Background
from deployments.history.dataset_jobs import DatasetAsked, DatasetJobs
from deployments.history.impact_jobs import ImpactJobs
from deployments.history.measured import Measured
from deployments.history.opening import open_history
from deployments.history.questions import FoundDecisions, Intervals, MetricSteps, News
from deployments.history.quiet import Quiet, noting_questions
from deployments.history.recorded import Recorded
from deployments.history.source_questions import BackfillAsked, BackfillBegun, Checked
from deployments.runtime import ray_internals
from deployments.telemetry.demo import Demo
from deployments.telemetry.service import TelemetryService
from features.functions.kept import FunctionModules
from features.rows import FeatureRow
from features.telemetry.source_states import Backfill
from observability.logs import write_logs
from observability.timeline.kinds import Kind
from observability.timeline.store import Page
from settings.environment import Settings

LOWER_PRIORITY = 10


@ray.remote(num_cpus=0.1, max_restarts=-1, max_task_retries=0)
@noting_questions
class History:
    """One a cluster; restarted by Ray when it dies, and then goes on where the store says."""

    async def __init__(self) -> None:  # type: ignore[misc] # Ray awaits it
        os.nice(LOWER_PRIORITY)  # answers first: the drain may lag behind them for a while
        self.quiet = Quiet()
        settings = Settings()
        write_logs(settings.paths.logs, "history", settings.log_level)
        self._opened = await open_history(settings)
        redis, store = self._opened.redis, self._opened.store
        self._background = Background(self._opened, settings)
        self._recorded = Recorded(redis, store)
        self._audits = AuditJobs(redis, store, time.time)
        self._impacts = ImpactJobs(redis, store, settings.paths.models)
        modules = FunctionModules(settings.functions_folder, settings.paths.functions)
        self._telemetry = TelemetryService(
            store,
            redis,
            self._background.metrics,
            Demo(store, settings),
            modules,
            keep_days=settings.measurement_days,
        )
        self._measured = Measured(store, self._telemetry.facts_of)
        await self._telemetry.start()
        self._datasets = DatasetJobs(
            store,
            settings.paths.datasets,
            self._telemetry.facts_of,
            catalogue_of=self._telemetry.definitions.catalogue,
            kept=modules.kept,
        )
        await self._datasets.start()
        self._background.start()
        if not settings.plain:
            ray_internals.rest_before_signals(self.quiet.main_thread_rest)

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
        return await self._measured.training_rows(days)

    async def hours(self, days: int) -> dict[str, dict[str, Any]]:
        """Give every entity's request rate by the hour, and its exchange where it has one."""
        return await self._measured.hours(days)

    async def worker_minutes(self, days: int) -> dict[str, Any]:
        """Give the minutes that capacity plans are learned from."""
        return await self._measured.worker_minutes(days)

    async def metric(self, entity: str, metric: str, minutes: int) -> Any:
        """Give the latest minutes of one metric of an entity, oldest first."""
        return await self._measured.metric(entity, metric, minutes)

    async def series(
        self, entity: str, metric: str, seconds: int, step_s: int | None
    ) -> MetricSteps:
        """Give the latest seconds of one metric of an entity, as it was measured or in steps."""
        return await self._measured.series(entity, metric, seconds, step_s)

    async def latest(self, entities: Sequence[str]) -> dict[str, FeatureRow]:
        return await self._telemetry.features.latest(entities)

    async def news(self, version: str) -> News | None:
        """Tell what was stored of late; nothing where that is what this version told."""
        return self._telemetry.news(version)

    async def intervals(
        self, entities: Sequence[str], metrics: Sequence[str], since: int, until: int
    ) -> Intervals:
        """Give these metrics of intervals that begin in [since, until)."""
        return await self._measured.intervals(entities, metrics, since, until)

    async def entities(self) -> list[dict[str, Any]]:
        """Tell which entities were measured lately, by whom and how completely."""
        return await self._measured.entities()

    async def rows(self, decision_ids: list[str]) -> FoundDecisions:
        return await self._recorded.rows(decision_ids)

    async def search(self, decision_id: str, within_s: float) -> FoundDecisions:
        """Look for a decision that `rows` left unsearched; after so long nobody waits for it."""
        return await self._recorded.search(decision_id, within_s)

    async def decisions(
        self, limit: int, family: str | None, since: datetime | None
    ) -> list[dict[str, Any]]:
        return await self._recorded.decisions(limit, family, since)

    async def violations(
        self, limit: int, family: str | None, severity: str | None, since: datetime | None
    ) -> list[dict[str, Any]]:
        """List the latest decisions that broke a limit."""
        return await self._recorded.violations(limit, family, severity, since)

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
        return await self._recorded.timeline(
            limit, since=since, until=until, kinds=kinds, entity=entity, before=before
        )

    async def proof(self, decision_id: str) -> dict[str, Any] | None:
        return await self._recorded.proof(decision_id)

    async def begin_audit(self) -> AuditShown:
        """Begin to verify the ledger, which may take minutes; `audit` says how far it is."""
        return await self._audits.begin()

    async def audit(self) -> AuditShown | None:
        """Give the latest audit: how far it is, or what it found."""
        return await self._audits.get()

    async def begin_impact(self, asked: ImpactAsked) -> ImpactShown | None:
        """Begin to replay recorded decisions under a version; None where too many wait."""
        return await self._impacts.begin(asked)

    async def impact(self, version: int) -> ImpactShown | None:
        """Give the latest replay of a version: how far it is, or what it found."""
        return await self._impacts.get(version)

    async def cancel_impact(self, version: int) -> ImpactShown | None:
        return await self._impacts.cancel(version)

    async def begin_dataset(self, asked: DatasetAsked) -> DatasetShown | None:
        """Begin a training set; None where too many wait."""
        return await self._datasets.begin(asked)

    async def datasets(self) -> list[DatasetShown]:
        """Tell how far each training set of the last day is."""
        return await self._datasets.all()

    async def remove_dataset(self, job_id: str) -> DatasetShown | None:
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
        await self._background.drain_now()

    async def close(self) -> None:
        await self._audits.close()
        await self._impacts.close()
        await self._datasets.close()
        await self._telemetry.close()
        await self._background.stop()
        await self._opened.close()
