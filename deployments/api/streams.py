"""What the endpoints of streams share: the body, the order of observations, what was taken."""

from abc import abstractmethod
from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, BaseModel, Field, model_validator

from deployments.anomaly.operations import Observe, Recall
from deployments.api.endpoint import ENTITY_PATTERN, WHOLE, FamilyBody
from deployments.runtime.batch import Detail

LEVEL = 0.9
MOST_VALUES = 1000

# JSON has no infinity but 1e999; whatever is finite is taken.
Number = Annotated[float, Field(allow_inf_nan=False)]
Timestamp = Annotated[float, Field(ge=0, le=1e11)] | AwareDatetime
StreamName = Annotated[
    str, Field(pattern=ENTITY_PATTERN, description="The stream's name; any name is allowed.")
]
Sequence_ = Annotated[int, Field(ge=0, le=2**53), WHOLE]

# What a row says that nothing was observed for.
COUNTS = {"taken": 0, "duplicates": 0, "late": 0}
# What stays of an answer whose numbers safety has replaced: what it is about, and what was taken.
_KEPT = (*COUNTS, "telemetry")


class StreamBody(FamilyBody):
    """What the bodies of all streams share."""

    stream: StreamName | None = None
    ts: Timestamp | Annotated[list[Timestamp], Field(max_length=MOST_VALUES)] | None = Field(
        None,
        description="The time of observation, in epoch seconds or RFC 3339; one for all "
        "observations or one for each. Observations older than the latest "
        "are late and are not accepted.",
    )
    sequence: Sequence_ | None = Field(
        None,
        description="The client's number of the body's first observation: observations "
        "that were accepted before are skipped when they are sent again.",
    )

    @abstractmethod
    def observed(self) -> list[Any] | None:
        """Give the observations, in their order; None of a body that asks for an entity."""

    @model_validator(mode="after")
    def _observes_or_asks(self) -> Self:
        """Take observations of a stream, or the name of an entity and nothing of a stream."""
        observed = self.observed() is not None
        if observed != (self.stream is not None):
            raise ValueError("stream and its observations go together: give both")
        if observed:
            return self
        if "entity" not in self.model_fields_set:
            raise ValueError("give a stream with its observations, or the entity to answer about")
        if left := sorted(self.model_fields_set - {"entity", "metric"}):
            raise ValueError(
                f"{', '.join(left)} goes with observations: an entity's telemetry is followed by "
                "itself"
            )
        return self

    @model_validator(mode="after")
    def _a_time_each(self) -> Self:
        if isinstance(self.ts, list):
            observed = self.observed() or []
            if len(self.ts) != len(observed):
                raise ValueError(f"ts has {len(self.ts)} times for {len(observed)} values")
            times = [_epoch(each) for each in self.ts]
            if any(later < earlier for earlier, later in pairwise(times)):
                raise ValueError("ts goes backwards: send the observations in order of time")
        return self


class AcceptedCounts(BaseModel):
    taken: int = Field(description="How many of the body's observations were accepted.")
    duplicates: int
    late: int


class Learning(BaseModel):
    observations_left: int
    until: str


class OfTelemetry(BaseModel):
    """Which telemetry an answer is about."""

    entity: str
    metrics: list[str] = Field(description="In the order of `attribution`, where there is one.")
    event_time: str = Field(description="When the newest interval began.")
    known_time: str = Field(description="When the platform knew of it.")
    stale: bool = Field(description="Whether later intervals should have been judged by now.")
    observations: int = Field(description="Intervals taken; of several metrics the fewest.")
    missing: int = Field(
        description="Intervals of which nothing was known when a later one was taken."
    )
    learning: Learning | None = Field(description="While alarms are still being learned.")


def recall(entity: str, metric: str | None = None) -> Recall:
    """Ask what is known of an entity's telemetry."""
    asked: Recall = {"op": "recall", "entity": entity}
    if metric is not None:
        asked["metric"] = metric
    return asked


def put_order(found: Observe[Any, Any], body: StreamBody) -> None:
    """Put in what the client says of the order of its observations."""
    if body.ts is not None:
        times = body.ts
        found["ts"] = [_epoch(each) for each in times] if isinstance(times, list) else _epoch(times)
    if body.sequence is not None:
        found["sequence"] = body.sequence


def observations_taken(detail: Detail, nothing_said: dict[str, Any]) -> Detail:
    """Keep what was taken of a body, and say nothing else of the stream."""
    said = detail["data"]
    return {"data": nothing_said | {name: said[name] for name in _KEPT if name in said}}


def stream_of(body: Any) -> str:
    """Give the stream's name; what is asked of an entity belongs to none, so any key will do."""
    name: str = body.stream or body.entity
    return name


def _epoch(moment: float | datetime) -> float:
    return moment.timestamp() if isinstance(moment, datetime) else float(moment)
