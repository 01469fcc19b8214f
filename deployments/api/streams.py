"""Streams: POST /models/regime-detection and POST /models/anomaly."""

from abc import abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from config_store.document import ConfigDocument
from deployments.anomaly.operations import (
    Fleet,
    Observe,
    ObserveNumbers,
    ObservePoints,
    PointChoice,
    Recall,
)
from deployments.api.endpoint import ENTITY_PATTERN, WHOLE, FamilyBody, InferenceEndpoint
from deployments.runtime.batch import Columns, Detail
from features.sources.rules import Metric

LEVEL = 0.9
USUAL_DETECTOR = "rrcf"
FLEET: Literal["fleet"] = "fleet"
MOST_VALUES = 1000
MOST_DIMENSIONS = 64
# A fleet's detector is linear in its dimensions, where a forest's cost grows with each of them.
MOST_FLEET_DIMENSIONS = 1024
MOST_MEMBERS = 512

# JSON has no infinity but 1e999; whatever is finite is taken.
Number = Annotated[float, Field(allow_inf_nan=False)]
Timestamp = Annotated[float, Field(ge=0, le=1e11)] | AwareDatetime
StreamName = Annotated[
    str, Field(pattern=ENTITY_PATTERN, description="The stream's name; any name is allowed.")
]
Members = Annotated[int, Field(ge=2, le=MOST_MEMBERS), WHOLE]
Weight = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
Weights = Annotated[list[Weight], Field(min_length=1, max_length=MOST_FLEET_DIMENSIONS // 2)]
Sequence_ = Annotated[int, Field(ge=0, le=2**53), WHOLE]


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


class RegimeBody(StreamBody):
    """Observations of a stream, in order, for change points."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"stream": "order-gateway/p99", "values": [18.2, 18.9, 41.5]},
                {"stream": "venue-7/rtt", "values": [0.82], "sequence": 1201, "ts": 1772461740},
                {"entity": "order-gateway", "metric": "p99_ms"},
            ]
        }
    )

    values: Annotated[list[Number], Field(min_length=1, max_length=MOST_VALUES)] | None = Field(
        None, description="Left out, the answer is about the telemetry of `entity`."
    )
    metric: Metric | None = Field(
        None,
        description="Without observations: the entity's metric that is meant; the one whose change "
        "is likeliest where left out.",
    )
    expected_run_length: Annotated[float, Field(gt=1, le=1e9)] | None = Field(
        None, description="How many observations a regime lasts on average; 100 by default."
    )

    def observed(self) -> list[Any] | None:
        return self.values

    @model_validator(mode="after")
    def _a_metric_is_an_entitys(self) -> Self:
        if self.metric is not None and self.values is not None:
            raise ValueError("metric names one of an entity's: leave it out beside observations")
        return self


class AnomalyBody(StreamBody):
    """Points of a stream, each a vector of as many numbers as the first, for anomalies."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"stream": "order-gateway", "points": [[0.71, 18.2, 0.001], [0.73, 19.0, 0.0]]},
                {"stream": "venue-7", "points": [[12.5]], "detector": "both"},
                {
                    "stream": "order-gateway/replicas",
                    "points": [[0.71, 2.9, 0.64, 2.8, 0.69, 2.9]],
                    "detector": "fleet",
                    "members": 3,
                    "weights": [1.0, 0.5],
                },
                {"entity": "order-gateway"},
            ]
        }
    )

    points: (
        Annotated[
            list[Annotated[list[Number], Field(min_length=1, max_length=MOST_FLEET_DIMENSIONS)]],
            Field(min_length=1, max_length=MOST_VALUES),
        ]
        | None
    ) = Field(
        None,
        description=f"Each point has at most {MOST_DIMENSIONS} numbers; a point of a "
        "fleet lists its members' metrics, one member after another. Left out, the answer is "
        "about the newest interval of `entity`'s telemetry.",
    )
    detector: Literal["rrcf", "isolation_forest", "both", "fleet"] | None = Field(
        None,
        description="Chosen with a stream's first points and fixed from then on; rrcf by default.",
    )
    members: Members | None = Field(
        None, description="How many members a fleet has; only with the detector fleet."
    )
    weights: Weights | None = Field(
        None,
        description="The weight of each metric of a fleet's members, 1 by default: for "
        "metrics that measure the same quantity, one over their number.",
    )

    def observed(self) -> list[Any] | None:
        return self.points

    @model_validator(mode="after")
    def _alike(self) -> Self:
        sizes = {len(point) for point in self.points or ()}
        if len(sizes) > 1:
            raise ValueError(f"points have {sorted(sizes)} dimensions: all need the same")
        return self

    @model_validator(mode="after")
    def _a_fleet_has_members(self) -> Self:
        if (self.detector == FLEET) != (self.members is not None):
            raise ValueError("members go with the detector fleet: give both or neither")
        if self.members is None:
            if self.weights is not None:
                raise ValueError("weights are for the metrics of a fleet: leave them out")
            return self
        width = len(self.points[0]) if self.points else 0
        metrics, rest = divmod(width, self.members)
        if rest:
            raise ValueError(
                f"a point has {width} numbers: give a multiple of the {self.members} members"
            )
        if self.weights is not None and len(self.weights) != metrics:
            raise ValueError(f"there are {len(self.weights)} weights for {metrics} metrics")
        return self

    def choice(self) -> PointChoice | None:
        """Give what a stream is to begin with: a fleet with its members, as JSON."""
        if self.members is None:
            return self.detector
        fleet: Fleet = {"detector": FLEET, "members": self.members}
        if self.weights is not None:
            fleet["weights"] = self.weights
        return fleet


class Regime(BaseModel):
    id: int = Field(description="The number of its first observation, counted from 0.")
    mean: float
    sd: float
    since: str


class SegmentShown(BaseModel):
    start: int
    since: str


class Taken(BaseModel):
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


class RegimeData(Taken):
    change_point: bool
    change_points: list[int] = Field(description="Which values of this body began a regime.")
    change_probability: float = Field(ge=0, le=1)
    run_length: int = Field(ge=0)
    p_value: float = Field(ge=0, le=1)
    alarm: bool = Field(
        description="Whether this is an alarm, within the daily budget of false alarms."
    )
    regime: Regime
    segments: list[SegmentShown]
    telemetry: OfTelemetry | None = Field(
        None, description="Of an entity's telemetry; left out in the answer about a stream."
    )


class PointShown(BaseModel):
    score: float
    p_value: float = Field(ge=0, le=1)
    is_anomaly: bool
    attribution: list[float]
    member: int | None = Field(
        None,
        description="For a fleet: the member with the highest score, counted from 0; "
        "null where no member has a score. The score is that member's.",
    )


class AnomalyData(Taken):
    points: list[PointShown]
    detector: str
    telemetry: OfTelemetry | None = Field(
        None, description="Of an entity's telemetry; left out in the answer about a stream."
    )


def _epoch(moment: float | datetime) -> float:
    return moment.timestamp() if isinstance(moment, datetime) else float(moment)


def ask_for_regime(body: RegimeBody) -> ObserveNumbers | Recall:
    if body.values is None:
        return _recall(body.entity, body.metric)
    found: ObserveNumbers = {"op": "observe", "values": body.values}
    _put_order(found, body)
    if body.expected_run_length is not None:
        found["choice"] = body.expected_run_length
    return found


def ask_for_anomalies(body: AnomalyBody) -> ObservePoints | Recall:
    if body.points is None:
        return _recall(body.entity)
    found: ObservePoints = {"op": "observe", "values": body.points}
    _put_order(found, body)
    if (choice := body.choice()) is not None:
        found["choice"] = choice
    return found


def _recall(entity: str, metric: str | None = None) -> Recall:
    asked: Recall = {"op": "recall", "entity": entity}
    if metric is not None:
        asked["metric"] = metric
    return asked


def _put_order(found: Observe[Any, Any], body: StreamBody) -> None:
    """Put in what the client says of the order of its observations."""
    if body.ts is not None:
        times = body.ts
        found["ts"] = [_epoch(each) for each in times] if isinstance(times, list) else _epoch(times)
    if body.sequence is not None:
        found["sequence"] = body.sequence


def no_columns(_: Sequence[Any], __: ConfigDocument) -> Columns:
    return {}


def regime_answers(columns: Columns, details: Sequence[Detail | None]) -> list[dict[str, Any]]:
    names = ("change_probability", "run_length", "mean", "sd", "p_value")
    rows = zip(*(columns[name].tolist() for name in names), details, strict=True)
    return [_regime(*row) for row in rows]


def _regime(
    change: float, run: float, mean: float, sd: float, p_value: float, detail: Detail | None
) -> dict[str, Any]:
    said = _NOTHING_OBSERVED if detail is None else detail["data"]
    return {
        "change_point": bool(said["change_points"]),
        "change_points": said["change_points"],
        "change_probability": change,
        "run_length": int(run),
        "p_value": p_value,
        "alarm": said["alarm"],
        "regime": {
            "id": said["regime_id"],
            "mean": mean,
            "sd": sd,
            "since": _timestamp(said["since"]),
        },
        "segments": [
            {"start": each["start"], "since": _timestamp(each["since"])}
            for each in said["segments"]
        ],
        "taken": said["taken"],
        "duplicates": said["duplicates"],
        "late": said["late"],
        **({"telemetry": said["telemetry"]} if "telemetry" in said else {}),
    }


def anomaly_answers(_: Columns, details: Sequence[Detail | None]) -> list[dict[str, Any]]:
    return [_NO_POINTS if detail is None else detail["data"] for detail in details]


# What a row says whose numbers safety has replaced.
_COUNTS = {"taken": 0, "duplicates": 0, "late": 0}
_NOTHING_OBSERVED: dict[str, Any] = {
    "change_points": [],
    "alarm": False,
    "regime_id": 0,
    "since": 0.0,
    "segments": [],
    **_COUNTS,
}
_NO_POINTS: dict[str, Any] = {"points": [], "detector": USUAL_DETECTOR, **_COUNTS}


def _timestamp(epoch: float) -> str:
    stamp = datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds")
    return stamp.replace("+00:00", "Z")


def stream_of(body: Any) -> str:
    """Give the stream's name; what is asked of an entity belongs to none, so any key will do."""
    name: str = body.stream or body.entity
    return name


REGIME = InferenceEndpoint(
    name="regime",
    path="/models/regime-detection",
    summary="Follow a stream and report when its regime changes",
    unjudged=("segments",),
    no_interval="The regime has only one observation, which says nothing about its spread",
    body=RegimeBody,
    data=RegimeData,
    columns=no_columns,
    answers=regime_answers,
    interval_method="bocpd-predictive",
    interval_level=LEVEL,
    deployment="anomaly",
    ask=ask_for_regime,
    key=stream_of,
    creates="streams",
    falls_back=False,
)

ANOMALY = InferenceEndpoint(
    name="anomaly",
    path="/models/anomaly",
    summary="Follow a stream of vectors and report which are anomalous",
    unjudged=("points",),
    body=AnomalyBody,
    data=AnomalyData,
    columns=no_columns,
    answers=anomaly_answers,
    interval_method="conformal-rank",
    interval_level=LEVEL,
    ask=ask_for_anomalies,
    key=stream_of,
    creates="streams",
    falls_back=False,
)
