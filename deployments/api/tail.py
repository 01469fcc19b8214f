"""Tail latency: POST /models/tail-slo."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from config_store.document import ConfigDocument
from deployments.api.endpoint import FamilyBody, InferenceEndpoint
from deployments.runtime.batch import Columns, Detail, FloatArray
from models.needs import TAIL as TAIL_NEEDS
from models.tail.plan import ACTIONS

GIVEN = ("load", "infra", "request_rate", "error_rate")
FEATURES = (*GIVEN, "active_workers", "baseline_ms", "baseline_rate")
INTERVAL_LEVEL = 0.9

# What the safety policy makes of a value is its affair; these bounds only keep out what no
# service on earth can mean.
Amount = Annotated[float, Field(ge=0, le=1e9)]
Share = Annotated[float, Field(ge=0, le=1e3)]


class TailBody(FamilyBody):
    """The state of a service: at least one of the four readings; its features give the rest."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": [name], "properties": {name: {"type": "number"}}} for name in GIVEN
            ],
            "examples": [
                {"entity": "order-gateway", "load": 0.72, "infra": 0.4, "slo_ms": 250},
                {"load": 0.9, "infra": 0.6, "request_rate": 1800, "error_rate": 0.002},
            ],
        }
    )

    load: Share | None = Field(None, description="Offered work per worker (utilisation).")
    infra: Share | None = Field(None, description="Infrastructure pressure, 0 to 1.")
    request_rate: Amount | None = Field(None, description="Requests per second.")
    error_rate: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="The share of requests that fail."
    )
    slo_ms: Annotated[float, Field(ge=1e-3, le=1e7)] | None = Field(
        None,
        description="The latency that must hold, in ms; by default what the configuration states "
        "of the entity, or of all.",
    )

    @model_validator(mode="after")
    def _something_is_known(self) -> Self:
        # Spelled out: it runs for every row, and a loop over the four takes three times as long.
        if (
            self.load is None
            and self.infra is None
            and self.request_rate is None
            and self.error_rate is None
        ):
            raise ValueError(f"give at least one of {', '.join(GIVEN)}")
        return self


class TailData(BaseModel):
    p50_pred: float
    p95_pred: float
    p99_pred: float
    p999_pred: float
    breach_probability: Annotated[float, Field(ge=0, le=1)] | None = Field(
        description="The share of requests that take longer than the SLO; null where it lies "
        "within the one bucket of a histogram that nearly all requests are counted in."
    )
    action: Literal["none", "scale_up", "shed_load", "page"]
    autoscale_workers: int = Field(ge=0)
    admit_fraction: float = Field(ge=0, le=1)


def _column(bodies: Sequence[TailBody], name: str) -> FloatArray:
    # float64 turns None into NaN by itself
    return np.array([getattr(body, name) for body in bodies], dtype=np.float64)


def columns(bodies: Sequence[TailBody], document: ConfigDocument) -> Columns:
    given = {name: _column(bodies, name) for name in GIVEN}
    slo = _column(bodies, "slo_ms")
    given["slo_ms"] = np.where(np.isnan(slo), _objectives(bodies, document), slo)
    return given


def _objectives(bodies: Sequence[TailBody], document: ConfigDocument) -> float | FloatArray:
    """Give what holds where a request names no objective: the entity's own, or the usual one."""
    usual, stated = document.serving.tail.slo_ms, document.sources.entities
    if not stated:  # it runs for every batch
        return usual
    own = [facts.target_ms if (facts := stated.get(each.entity)) else None for each in bodies]
    return np.array([usual if each is None else each for each in own])


def answers(columns: Columns, details: Sequence[Detail | None]) -> list[dict[str, Any]]:
    rows = zip(
        columns["p50_pred"].tolist(),
        columns["p95_pred"].tolist(),
        columns["p99_pred"].tolist(),
        columns["p999_pred"].tolist(),
        columns["breach_probability"].tolist(),
        columns["action"].tolist(),
        columns["autoscale_workers"].tolist(),
        columns["admit_fraction"].tolist(),
        strict=True,
    )
    found = [
        {
            "p50_pred": p50,
            "p95_pred": p95,
            "p99_pred": p99,
            "p999_pred": p999,
            "breach_probability": breach,
            "action": ACTIONS[int(action)],
            "autoscale_workers": int(workers),
            "admit_fraction": admit,
        }
        for p50, p95, p99, p999, breach, action, workers, admit in rows
    ]
    for answer, detail in zip(found, details, strict=True):
        if detail is not None and "data" in detail:
            answer.update(detail["data"])
    return found


TAIL = InferenceEndpoint(
    name="tail",
    path="/models/tail-slo",
    summary="Bound the tail latency of a service and recommend how to keep to it",
    body=TailBody,
    data=TailData,
    features=FEATURES,
    optional_features=TAIL_NEEDS.can_do_without,
    columns=columns,
    given=(*GIVEN, "slo_ms"),
    answers=answers,
    interval_method="cqr",
    interval_level=INTERVAL_LEVEL,
)
