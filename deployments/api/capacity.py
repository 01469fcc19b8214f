"""Capacity: POST /models/capacity-planning."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from config_store.document import ConfigDocument
from deployments.api.endpoint import WHOLE, FamilyBody, InferenceEndpoint, Nested
from deployments.runtime.batch import Columns, Detail
from features.rows import HOUR_RATE

HOUR = 3600
LEVEL = 0.9
MODELS = ("prophet", "tft", "nbeats", "ensemble")
FEATURES = ("request_rate", "active_workers")
AS_SENT = ("cpu", "p99", "slo_ms", "horizon_hours")
DRIVERS = ("trend", "seasonality", "holidays")

Rate = Annotated[float, Field(ge=0, le=1e9)]


class CapacityBody(FamilyBody):
    """The state of a service now; how many workers will its next hours need."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"entity": "order-gateway", "ingest_rate": 3100, "cpu": 0.64, "p99": 14.2},
                {"ingest_rate": 900, "cpu": 0.5, "p99": 30, "horizon_hours": 6, "model": "prophet"},
            ]
        }
    )

    ingest_rate: Rate | None = Field(
        None,
        description="The present number of requests per second; by default the mean of the hour so "
        "far, and of the last 15 minutes at least.",
    )
    cpu: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="The present processor use of the workers, 0 to 1."
    )
    p99: Annotated[float, Field(ge=0, le=1e7)] | None = Field(
        None, description="The present 99th percentile of the latency, in ms."
    )
    calendar_events: Annotated[int, Field(ge=0, le=1000), WHOLE] = Field(
        0, description="How many events are expected that are in no exchange's calendar."
    )
    horizon_hours: Annotated[int, Field(ge=1, le=24), WHOLE] = 24
    model: Literal["prophet", "tft", "nbeats", "ensemble"] | None = Field(
        None, description="The forecaster to use; by default the active configuration's."
    )
    slo_ms: Annotated[float, Field(ge=1e-3, le=1e7)] | None = Field(
        None, description="The p99 that must hold, in ms; by default the service's usual p99."
    )


class HourShown(BaseModel):
    ts: str
    rate: float
    lower: float
    upper: float


class Drivers(BaseModel):
    trend: list[float] | None
    seasonality: list[float] | None
    holidays: list[float] | None


class CapacityData(BaseModel):
    next_hour_workers: int = Field(ge=1)
    queue_capacity: int = Field(ge=0)
    forecast: list[HourShown]
    workers: list[int]
    drivers: Drivers
    basis: str = Field(description="What the forecast is based on, in words.")
    plan_basis: str = Field(description="What the number of workers is based on, in words.")
    reachable: bool = Field(description="Whether any number of workers can meet the targets.")
    passed_over: dict[str, str] = Field(
        description="The forecasters that did not answer, each with the reason."
    )


def _column(bodies: Sequence[CapacityBody], name: str) -> Any:
    return np.array([getattr(body, name) for body in bodies], dtype=np.float64)


def columns(bodies: Sequence[CapacityBody], document: ConfigDocument) -> Columns:
    usual = document.serving.capacity.model.removeprefix("forecasting/")
    names = [body.model or usual for body in bodies]
    given = {name: _column(bodies, name) for name in AS_SENT}
    return given | {
        "request_rate": _column(bodies, "ingest_rate"),
        "calendar_events": _column(bodies, "calendar_events"),
        "model": np.array([float(MODELS.index(name)) for name in names]),
    }


def answers(columns: Columns, details: Sequence[Detail | None]) -> list[dict[str, Any]]:
    rows = zip(
        columns["next_hour_workers"].tolist(),
        columns["queue_capacity"].tolist(),
        details,
        strict=True,
    )
    return [
        {"next_hour_workers": int(workers), "queue_capacity": int(queue), **_hours(detail, workers)}
        for workers, queue, detail in rows
    ]


def _hours(detail: Detail | None, workers: float) -> dict[str, Any]:
    if detail is None:
        return {
            "forecast": [],
            "workers": [int(workers)],
            "drivers": dict.fromkeys(DRIVERS),
            "basis": "no forecaster answered",
            "plan_basis": "the fallback's, a quarter more than now",
            "reachable": True,
            "passed_over": {},
        }
    said = detail["data"]
    hours = zip(said["point"], said["lower"], said["upper"], strict=True)
    # What safety let through for the next hour is what the list says of it too.
    planned = [int(workers), *said["workers"][1:]]
    return {
        "forecast": [
            {"ts": _timestamp(said["start"] + HOUR * at), "rate": rate, "lower": low, "upper": high}
            for at, (rate, low, high) in enumerate(hours)
        ],
        "workers": planned,
        "drivers": {name: said["drivers"].get(name) for name in DRIVERS},
        **{name: said[name] for name in ("basis", "plan_basis", "reachable", "passed_over")},
    }


def _moments(said: Mapping[str, Any]) -> list[float]:
    return [float(said["start"] + HOUR * at) for at in range(len(said["workers"]))]


def _timestamp(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


CAPACITY = InferenceEndpoint(
    name="capacity",
    path="/models/capacity-planning",
    summary="Forecast a service's load and say how many workers its next hours need",
    unjudged=("drivers",),
    nested=Nested(
        {"next_hour_workers": "workers", "rate": "point", "lower": "lower", "upper": "upper"},
        item="hour",
        moments=_moments,
    ),
    body=CapacityBody,
    data=CapacityData,
    features=FEATURES,
    # The hours ahead are corrected by what the hour in progress brings, not by one minute of it.
    preferred_features={"request_rate": HOUR_RATE},
    deployment="forecasting",
    columns=columns,
    given=(*AS_SENT, "request_rate", "calendar_events", "model"),
    answers=answers,
    interval_method="conformal",
    interval_level=LEVEL,
)
