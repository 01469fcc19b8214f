"""What was measured, as the history tells it: metrics, intervals, hours and entities."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from deployments.history.questions import Intervals, MetricSteps
from features.hours.stored import stored_hours, worker_minutes
from features.telemetry import stored
from features.telemetry.merged import interval_rows, scope_of
from features.telemetry.seen import entities as entities_seen
from features.telemetry.steps import step_means
from features.telemetry.tables import ColumnStore
from features.vectors.computed import Facts

DAY, MINUTE = 86_400, 60
# An entity of which nothing came for so long is not listed any more.
ENTITY_DAYS = 60
# The list is read off all that was measured, and somebody may ask for it all the time.
ENTITIES_SECONDS = 15.0
# Of one answer about a metric: what a forecast takes.
MOST_STEPS = 20_000


class Measured:
    """Reads the store in threads; called from the history's event loop only."""

    def __init__(self, store: ColumnStore, facts_of: Callable[[str], Facts]) -> None:
        self._store = store
        self._facts_of = facts_of
        self._entities: list[dict[str, Any]] = []
        self._entities_until = 0.0
        self._entities_lock = asyncio.Lock()

    async def training_rows(self, days: int) -> dict[str, Any]:
        until = int(time.time())
        since = until - days * DAY
        return await asyncio.to_thread(stored.training_rows, self._store, since, until)

    async def hours(self, days: int) -> dict[str, dict[str, Any]]:
        """Give every entity's request rate by the hour, and its exchange where it has one."""
        until = int(time.time())
        found = await asyncio.to_thread(stored_hours, self._store, until, days)
        return {
            entity: {
                "start": each.start,
                "rate": each.request_rate,
                "exchange": self._facts_of(entity).exchange,
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
        return await asyncio.to_thread(stored.metric, self._store, entity, metric, since, until)

    async def series(
        self, entity: str, metric: str, seconds: int, step_s: int | None
    ) -> MetricSteps:
        """Give the latest seconds of one metric of an entity, as it was measured or in steps."""
        until = int(time.time())
        scope = (entity, metric, until - seconds, until)
        return await asyncio.to_thread(_metric_steps, self._store, *scope, step_s)

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


def _metric_steps(
    store: ColumnStore, entity: str, metric: str, since: int, until: int, step_s: int | None
) -> MetricSteps:
    ts, values = stored.timed_metric(store, entity, metric, since, until)
    if step_s is None:
        there = np.isfinite(values)  # the other rows are of the entity's other metrics
        ts, values = ts[there], values[there]
    else:
        ts, values = step_means(ts, values, step_s, until)
    return MetricSteps(ts[-MOST_STEPS:], values[-MOST_STEPS:])
