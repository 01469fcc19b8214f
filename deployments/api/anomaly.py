"""The endpoint of anomalies: POST /models/anomaly."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from deployments.anomaly.operations import Fleet, ObservePoints, PointChoice, Recall
from deployments.api.endpoint import WHOLE, InferenceEndpoint, no_columns
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

USUAL_DETECTOR = "rrcf"
FLEET: Literal["fleet"] = "fleet"
MOST_DIMENSIONS = 64
# A fleet's detector is linear in its dimensions, where a forest's cost grows with each of them.
MOST_FLEET_DIMENSIONS = 1024
MOST_MEMBERS = 512

Members = Annotated[int, Field(ge=2, le=MOST_MEMBERS), WHOLE]
Weight = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
Weights = Annotated[list[Weight], Field(min_length=1, max_length=MOST_FLEET_DIMENSIONS // 2)]

_NO_POINTS: dict[str, Any] = {"points": [], "detector": USUAL_DETECTOR, **COUNTS}


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


class AnomalyData(AcceptedCounts):
    points: list[PointShown]
    detector: str
    telemetry: OfTelemetry | None = Field(
        None, description="Of an entity's telemetry; left out in the answer about a stream."
    )


def ask_for_anomalies(body: AnomalyBody) -> ObservePoints | Recall:
    if body.points is None:
        return recall(body.entity)
    found: ObservePoints = {"op": "observe", "values": body.points}
    put_order(found, body)
    if (choice := body.choice()) is not None:
        found["choice"] = choice
    return found


def points_taken(detail: Detail) -> Detail:
    said = detail["data"]
    nothing_said = _NO_POINTS | {"detector": said.get("detector", USUAL_DETECTOR)}
    return observations_taken(detail, nothing_said)


def anomaly_answers(_: Columns, details: Sequence[Detail | None]) -> list[dict[str, Any]]:
    return [_NO_POINTS if detail is None else detail["data"] for detail in details]


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
    taken=points_taken,
)
