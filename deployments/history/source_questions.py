"""What the history is asked to do with one source: to check it, and to fetch its past anew."""

from dataclasses import dataclass

from features.sources.source import Complaint
from features.telemetry.source_states import Backfill


@dataclass(frozen=True, slots=True)
class BackfillAsked:
    """What somebody wants fetched, epoch seconds; None: as far as the source goes, and to now."""

    source: str
    since: int | None
    until: int | None


@dataclass(frozen=True, slots=True)
class BackfillBegun:
    """The backfill of a source; or why there is none that was asked for."""

    backfill: Backfill | None
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class MetricSeen:
    """What a source gave of one metric: in which share of its rows, from where to where."""

    metric: str
    share: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Checked:
    """What a source gave when it was asked once."""

    source: str
    kind: str
    ok: bool
    """Whether every metric that is expected of it has values."""
    reachable: bool
    seconds: float
    message: str
    since: int | None = None
    until: int | None = None
    rows: int = 0
    entities: tuple[str, ...] = ()
    entity_count: int = 0
    metrics: tuple[MetricSeen, ...] = ()
    complaints: tuple[Complaint, ...] = ()
