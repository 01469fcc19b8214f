"""POST /sources/{name}/check and /sources/{name}/backfill, as clients see them."""

from pydantic import BaseModel, ConfigDict, Field

from deployments.api.telemetry import ComplaintShown
from deployments.api.timestamps import TimestampOrEpoch


class BackfillBody(BaseModel):
    """Which stretch of a source's past is to be fetched anew."""

    model_config = ConfigDict(
        extra="forbid",
        validate_by_name=False,
        json_schema_extra={
            "examples": [{"from": "2026-03-02T00:00:00Z", "to": "2026-03-09T00:00:00Z"}]
        },
    )
    since: TimestampOrEpoch | None = Field(
        None,
        alias="from",
        description="RFC 3339, or epoch seconds. As far back as the source goes, and its "
        "history_days, where left out; a time before all that it has counts as its oldest.",
    )
    until: TimestampOrEpoch | None = Field(
        None, alias="to", description="RFC 3339, or epoch seconds. Up to now where left out."
    )


class MetricShown(BaseModel):
    """What a source gave of one metric."""

    metric: str
    share: float = Field(description="In which share of the rows it has a value, 0 to 1.")
    low: float | None
    high: float | None


class CheckShown(BaseModel):
    """What a source gave when it was asked once; nothing of it is stored."""

    source: str
    kind: str
    ok: bool = Field(description="Whether every metric that is expected of it has values.")
    reachable: bool = Field(description="Whether it answered, be it with a refusal.")
    seconds: float = Field(description="How long the answer took.")
    message: str = Field(description="What is wrong, and what to do.")
    since: int | None = Field(
        description="When the first interval that was asked for began, epoch seconds; null where "
        "what came last was looked at."
    )
    until: int | None = Field(description="When the last one ended, epoch seconds.")
    rows: int
    entities: list[str] = Field(description="The first twenty, by name.")
    entity_count: int
    metrics: list[MetricShown]
    complaints: list[ComplaintShown]
