"""A history over a real store, as the feeder asks it, and sources that store rows in it."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from redis.asyncio import Redis

from config_store.sources import EntityFacts
from deployments.history.client import HistoryAwayError
from deployments.history.questions import Intervals, News, Questions
from deployments.telemetry.place import SourcePlace
from deployments.telemetry.publishing import FeaturePublisher
from features.sources.source import Gathered
from features.telemetry.columns import COLUMNS, Telemetry
from features.telemetry.merged import Scope, interval_rows
from features.telemetry.tables import create_measurements
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.schema import create_tables
from observability.timeline import store as timeline_store
from observability.timeline.drain import TimelineDrain

MINUTE = 60


def telemetry(entity: str, ts: Sequence[int], **metrics: Sequence[float]) -> Telemetry:
    """Make rows of which only these metrics are measured."""
    n = len(ts)
    columns: dict[str, Any] = dict(Telemetry.empty().columns())
    for column in COLUMNS:
        if column.kind == "f":
            shape = (n, 8) if column.name == "exemplars" else (n,)
            columns[column.name] = np.full(shape, np.nan)
        elif column.kind == "b":
            columns[column.name] = np.zeros(n, dtype=np.int8)
        else:
            columns[column.name] = np.full(n, "")
    columns |= {"ts": np.array(ts, dtype=np.int64), "entity": np.full(n, entity)}
    columns |= {name: np.array(values, dtype=np.float64) for name, values in metrics.items()}
    return Telemetry(**columns)


class LittleHistory:
    """Answers what the history actor answers, by the same functions, without an actor."""

    def __init__(self, store: EmbeddedClickhouse, redis: Redis, wall: Callable[[], float]) -> None:
        for table in ("measurements", "timeline"):
            store.execute(f"DROP TABLE IF EXISTS {table} SYNC")
        create_tables(store)
        create_measurements(store)
        self.store = store
        self.away = False
        self.filling: frozenset[str] = frozenset()
        self.asked: list[str] = []
        self.features = FeaturePublisher(store, redis, wall, lambda _: EntityFacts())
        self._place = SourcePlace("prometheus", MINUTE, store, self.features, wall)
        self._drain = TimelineDrain(redis, store, wall)

    async def store_rows(self, rows: Telemetry) -> None:
        """Store rows of the source `prometheus`, as those that it gave last."""
        await self._place.take_in(Gathered(rows), newest=True)

    async def ask(self, question: Any, *args: Any, **named: Any) -> Any:
        if self.away:
            raise HistoryAwayError("The history is away")
        self.asked.append(question.__name__)
        answers: Mapping[str, Callable[..., Any]] = {
            Questions.news.__name__: self._news,
            Questions.intervals.__name__: self._intervals,
            Questions.timeline.__name__: partial(timeline_store.read, self.store),
        }
        if question.__name__ not in answers:
            raise HistoryAwayError(f"There is no history here of {question.__name__}")
        return answers[question.__name__](*args, **named)

    async def events(self, kind: str) -> list[dict[str, Any]]:
        """Read the timeline, oldest first."""
        await self._drain.step()
        return timeline_store.read(self.store, 1000, kinds=[kind]).events[::-1]

    def _news(self, version: str) -> News | None:
        return self.features.news.since(version, self.filling)

    def _intervals(
        self, entities: Sequence[str], metrics: Sequence[str], since: int, until: int
    ) -> Intervals:
        rows = interval_rows(self.store, metrics, Scope(since, until, entities))
        return Intervals(rows["entity"], rows["ts"], {name: rows[name] for name in metrics})
