"""The endpoint of regimes: POST /models/regime-detection."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from deployments.anomaly.operations import ObserveNumbers, Recall
from deployments.api.endpoint import InferenceEndpoint, no_columns
from deployments.api.streams import (
    COUNTS,
    LEVEL,
    MOST_VALUES,
    AcceptedCounts,
    Number,
    OfTelemetry,
    StreamBody,
    observations_taken,
    put_order,
    recall,
    stream_of,
)
from deployments.runtime.batch import Columns, Detail
from features.sources.rules import Metric

_NOTHING_OBSERVED: dict[str, Any] = {
    "change_points": [],
    "alarm": False,
    "regime_id": 0,
    "since": 0.0,
    "segments": [],
    **COUNTS,
}


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


class Regime(BaseModel):
    id: int = Field(description="The number of its first observation, counted from 0.")
    mean: float
    sd: float
    since: str


class SegmentShown(BaseModel):
    start: int
    since: str


class RegimeData(AcceptedCounts):
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


def ask_for_regime(body: RegimeBody) -> ObserveNumbers | Recall:
    if body.values is None:
        return recall(body.entity, body.metric)
    found: ObserveNumbers = {"op": "observe", "values": body.values}
    put_order(found, body)
    if body.expected_run_length is not None:
        found["choice"] = body.expected_run_length
    return found


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


def regime_taken(detail: Detail) -> Detail:
    return observations_taken(detail, _NOTHING_OBSERVED)


def _timestamp(epoch: float) -> str:
    stamp = datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds")
    return stamp.replace("+00:00", "Z")


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
    taken=regime_taken,
)
