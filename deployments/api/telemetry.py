"""POST /telemetry, GET /sources and GET /entities, as clients see them.

The bodies are described here and read elsewhere (features/sources/posted.py), a little at a time:
one may have fifty thousand rows.
"""

import types
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from features.sources.posted_cells import ENTITY_PATTERN, METRICS, MOST_ROWS
from features.sources.source import Fault
from features.telemetry.columns import COLUMNS
from features.telemetry.source_states import SourceState

_MEANINGS = {column.name: f"{column.meaning}; {column.unit}" for column in COLUMNS}
_TS = (
    "When the interval began: epoch seconds, epoch milliseconds (a number over 1e11), or ISO 8601 "
    "with its zone. A time within an interval counts as its begin."
)

Entity = Annotated[str, Field(pattern=ENTITY_PATTERN)]
Number = float | None


def _fields() -> dict[str, Any]:
    metrics: dict[str, Any] = {
        name: (Number, Field(None, description=_MEANINGS[name])) for name in METRICS
    }
    return {
        "entity": (Entity, Field(description="The service, desk or tenant that was measured.")),
        "ts": (float | str, Field(description=_TS)),
        **metrics,
        "deploy": (bool | None, Field(None, description=_MEANINGS["deploy"])),
    }


_EXAMPLE: dict[str, Any] = {
    "rows": [
        {"entity": "checkout", "ts": "2026-03-02T14:30:00Z", "request_rate": 812.5, "p99_ms": 41.0},
        {"entity": "checkout", "ts": "2026-03-02T14:31:00Z", "request_rate": 840.1, "p99_ms": None},
    ]
}

TelemetryRow = create_model(
    "TelemetryRow",
    __config__=ConfigDict(extra="forbid"),
    __doc__="What was measured of an entity in one interval; null, or left out, where nothing was.",
    **_fields(),
)
_rows: Any = Annotated[
    list[TelemetryRow],
    Field(min_length=1, max_length=MOST_ROWS),
]
TelemetryRows = create_model(
    "TelemetryRows",
    __config__=ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]}),
    __doc__="Rows of one or more entities and intervals, in any order.",
    rows=(_rows, ...),
)
_lists: dict[str, Any] = {
    name: (types.GenericAlias(list, kind), field) for name, (kind, field) in _fields().items()
}
_Columns = create_model("TelemetryColumnValues", __config__=ConfigDict(extra="forbid"), **_lists)
TelemetryColumns = create_model(
    "TelemetryColumns",
    __config__=ConfigDict(extra="forbid"),
    __doc__="The same as a list for each column, all of one length.",
    columns=(_Columns, ...),
)


class ComplaintShown(BaseModel):
    fault: Fault
    count: int = Field(description="How many rows or values had this fault.")
    example: str


class PostedAnswer(BaseModel):
    """The rows are written down, and will be stored in a moment."""

    source: str
    rows: int = Field(description="The rows of the body.")
    accepted: int = Field(
        description="The entities' intervals that were taken: rows of one interval count as one."
    )
    older: int = Field(
        description="How many of those taken began over a day ago: they went to the history, and "
        "no present feature shows them."
    )
    note: str = Field(description="What follows for those that are older; empty without any.")
    complaints: list[ComplaintShown] = Field(
        description="What was wrong, and was left out; all else was taken."
    )


class PostedLinesAnswer(BaseModel):
    """The lines are written down, and will be added up when their interval is over."""

    source: str
    lines: int = Field(description="The lines of the body; empty ones are not counted.")
    accepted: int = Field(
        description="Those that could be read. One that turns out to be of an interval that is "
        "stored already is a complaint of the source, in GET /sources."
    )
    complaints: list[ComplaintShown] = Field(
        description="What was wrong, and was left out; all else was taken."
    )


class SourcesShown(BaseModel):
    sources: list[SourceState]
    told: datetime | None = Field(description="When the states were told; null: not yet.")
    stale: bool = Field(
        description="Whether that is over a minute ago: the states say how things were."
    )


class EntityShown(BaseModel):
    """What is measured of one entity."""

    entity: str
    first: int = Field(description="When its first interval began, epoch seconds.")
    last: int = Field(description="When its newest interval began, epoch seconds.")
    sources: list[str]
    cadence_seconds: int | None = Field(
        description="How far its intervals mostly lie apart; null where there is but one."
    )
    missing: dict[str, float] = Field(
        description="The share of its last day's intervals without a number, by metric."
    )


class EntityPage(BaseModel):
    """One page of the entities that are measured."""

    entities: list[EntityShown]
    next: str | None = Field(description="Give it as `after` for the next page; null at the end.")


class Stated(BaseModel):
    """What the configuration says of an entity, since nobody can measure it."""

    exchange: str | None
    time_zone: str | None
    target_ms: float | None


class OneEntity(EntityShown):
    stated: Stated | None = Field(description="Null where the configuration says nothing of it.")
