"""What the history actor is asked by other processes, with the types of its answers.

A client hands one of these methods to `ask`, as in `ask(Questions.rows, ids)`: the actor is asked
by the method's name, and the answer has the method's type. A test holds them against the actor.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from deployments.api.audit import AuditShown
from deployments.api.datasets import DatasetShown
from deployments.api.impact import ImpactAsked, ImpactShown
from deployments.history.dataset_jobs import DatasetAsked
from deployments.history.source_questions import BackfillAsked, BackfillBegun, Checked
from features.rows import FeatureRow
from features.telemetry.source_states import Backfill
from observability.timeline.kinds import Kind
from observability.timeline.store import Page


class FoundDecisions(NamedTuple):
    """Decisions by their ids, as they were recorded; and why those that are missing may exist.

    Those that are unsearched may exist too, and take longer to be looked for: `search`.
    """

    rows: dict[str, bytes]
    trouble: str | None = None
    unsearched: tuple[str, ...] = ()


class MetricSteps(NamedTuple):
    """A metric in steps: when each begins, in epoch seconds, and its mean; NaN where none was."""

    ts: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]


# So many teach a stream what is usual (models/anomaly/streams.py): one begins with those before it.
PAST_INTERVALS = 1_600


class Newest(NamedTuple):
    """An entity's newest interval that is stored."""

    ts: int
    cadence_seconds: int
    known: float
    source: str


class News(NamedTuple):
    """What was stored of late, as of a version that a later question names."""

    version: str
    newest: dict[str, Newest]
    filling: frozenset[str]
    """Sources of which the past that streams begin with is still being fetched."""


class Intervals(NamedTuple):
    """Metrics by entity and time, a row an interval; NaN where one was not measured."""

    entity: npt.NDArray[np.str_]
    ts: npt.NDArray[np.int64]
    metrics: dict[str, npt.NDArray[np.float64]]


class Questions(Protocol):
    async def hours(self, days: int) -> dict[str, dict[str, Any]]: ...

    async def metric(self, entity: str, metric: str, minutes: int) -> Any: ...

    async def series(
        self, entity: str, metric: str, seconds: int, step_s: int | None
    ) -> MetricSteps: ...

    async def latest(self, entities: Sequence[str]) -> dict[str, FeatureRow]: ...

    async def news(self, version: str) -> News | None: ...

    async def intervals(
        self, entities: Sequence[str], metrics: Sequence[str], since: int, until: int
    ) -> Intervals: ...

    async def entities(self) -> list[dict[str, Any]]: ...

    async def rows(self, decision_ids: list[str]) -> FoundDecisions: ...

    async def search(self, decision_id: str, within_s: float) -> FoundDecisions: ...

    async def decisions(
        self, limit: int, family: str | None, since: datetime | None
    ) -> list[dict[str, Any]]: ...

    async def violations(
        self, limit: int, family: str | None, severity: str | None, since: datetime | None
    ) -> list[dict[str, Any]]: ...

    async def timeline(
        self,
        limit: int,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        kinds: Sequence[Kind] = (),
        entity: str | None = None,
        before: str | None = None,
    ) -> Page: ...

    async def proof(self, decision_id: str) -> dict[str, Any] | None: ...

    async def begin_audit(self) -> AuditShown: ...

    async def audit(self) -> AuditShown | None: ...

    async def begin_impact(self, asked: ImpactAsked) -> ImpactShown | None: ...

    async def impact(self, version: int) -> ImpactShown | None: ...

    async def cancel_impact(self, version: int) -> ImpactShown | None: ...

    async def begin_dataset(self, asked: DatasetAsked) -> DatasetShown | None: ...

    async def datasets(self) -> list[DatasetShown]: ...

    async def remove_dataset(self, job_id: str) -> DatasetShown | None: ...

    async def dataset_piece(self, job_id: str, offset: int) -> bytes | None: ...

    async def begin_backfill(self, asked: BackfillAsked) -> BackfillBegun: ...

    async def cancel_backfill(self, source: str) -> Backfill | None: ...

    async def backfill(self, source: str) -> Backfill | None: ...

    async def check_source(self, source: str) -> Checked | None: ...

    async def drain_now(self) -> None: ...
