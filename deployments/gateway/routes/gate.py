"""The deploy gate: did a deploy change the regime, of a client's stream or of an entity."""

import asyncio
import math
from collections.abc import Sequence
from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, model_validator

from deployments.anomaly.operations import JudgeDeploy
from deployments.anomaly.telemetry.keys import KIND, key_of
from deployments.api.endpoint import ENTITY_PATTERN
from deployments.api.errors import NotFoundError, UnavailableError
from deployments.api.timestamps import TimestampOrEpoch
from deployments.gateway.pipeline.answers import isoformat
from deployments.gateway.routes.access import Here, admitted
from deployments.history import client as history
from deployments.history.questions import Questions
from features.sources.rules import Metric
from features.telemetry.judged import Judged, is_stale, read_judged
from models.anomaly.verdict import verdict_of
from settings.redis_connection import REDIS_AWAY

router = APIRouter(tags=["streams"], dependencies=[Depends(admitted)])

Name = Annotated[str, Field(pattern=ENTITY_PATTERN)]


class GateBody(BaseModel):
    """Did this deploy change the regime."""

    model_config = ConfigDict(
        extra="forbid",
        allow_inf_nan=False,
        json_schema_extra={
            "oneOf": [
                {
                    "required": ["stream", "deployed_at"],
                    "properties": {
                        "stream": {"type": "string"},
                        "deployed_at": {"not": {"type": "null"}},
                        "entity": {"type": "null"},
                        "metrics": {"type": "null"},
                    },
                },
                {
                    "required": ["entity"],
                    "properties": {"entity": {"type": "string"}, "stream": {"type": "null"}},
                },
            ],
            "examples": [
                {"stream": "order-gateway/p99", "deployed_at": "2026-11-20T08:00:00Z"},
                {"entity": "order-gateway"},
            ],
        },
    )

    stream: Name | None = Field(None, description="A stream that observations were sent to.")
    entity: Name | None = Field(
        None, description="In the stream's place: an entity, to judge by its telemetry."
    )
    metrics: Annotated[list[Metric], Field(min_length=1)] | None = Field(
        None, description="The entity's metrics to judge by; all that are followed if left out."
    )
    deployed_at: TimestampOrEpoch | None = Field(
        None,
        description="When the deploy began: RFC 3339, or epoch seconds. Of an entity, its latest "
        "deploy on the timeline where left out.",
    )
    window_seconds: Annotated[float, Field(gt=0, le=86_400)] = Field(
        900.0, description="A change that begins within this time is attributed to the deploy."
    )
    prior: Annotated[float, Field(ge=1e-6, le=1 - 1e-6)] = Field(
        0.5, description="The prior probability that such a deploy changes the regime."
    )
    threshold: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.5, description="The probability from which on the gate closes."
    )

    @model_validator(mode="after")
    def _of_a_stream_or_an_entity(self) -> Self:
        if (self.stream is None) == (self.entity is None):
            raise ValueError("give the stream or the entity that was deployed, and not both")
        if self.stream is not None and self.deployed_at is None:
            raise ValueError("deployed_at is missing: only an entity's deploys are known")
        if self.stream is not None and self.metrics is not None:
            raise ValueError("metrics are an entity's: leave them out beside a stream")
        return self


class MetricShown(BaseModel):
    metric: str
    probability: float = Field(ge=0, le=1)
    before: float = Field(ge=0, le=1)
    verdict: str
    observations: int


class GateShown(BaseModel):
    stream: str | None = None
    open: bool = Field(description="Whether the deploy may go on.")
    probability: float = Field(
        ge=0, le=1, description="The probability that the deploy changed the regime."
    )
    before: float = Field(
        ge=0,
        le=1,
        description="The probability that the regime had changed in the same time before the "
        "deploy.",
    )
    verdict: str = Field(description="One of changed, unchanged, undecided and changed before.")
    observations: int = Field(
        description="The number of observations since the deploy that can show a change."
    )
    entity: str | None = None
    deployed_at: str | None = Field(None, description="Of an entity: which deploy is judged.")
    metrics: list[MetricShown] | None = Field(None, description="Of an entity: metric by metric.")
    event_time: str | None = Field(
        None, description="Of an entity: when the newest interval began that was judged."
    )
    stale: bool | None = Field(
        None, description="Of an entity: whether later intervals should have been judged by now."
    )


@router.post(
    "/models/regime-detection/gate",
    summary="Report whether a deploy changed the regime",
    response_model_exclude_none=True,
)
async def gate(body: GateBody, here: Here) -> GateShown:
    if here.replica.in_emergency():  # what it says passes no safety stage
        raise UnavailableError(
            "Emergency mode is on, in which no model judges a deploy: decide by hand"
        )
    if body.stream is None:
        return await _of_entity(body.entity or "", body, here)
    at = body.deployed_at.timestamp() if body.deployed_at else 0.0
    asked = JudgeDeploy(op="gate", at=at, window=body.window_seconds, prior=body.prior)
    found = await here.keyed.ask("regime", body.stream, asked)
    is_open = found["probability"] < body.threshold
    return GateShown(stream=body.stream, open=is_open, **found)


async def _of_entity(entity: str, body: GateBody, here: Here) -> GateShown:
    """Judge by each metric; together they have the prior that one alone would have."""
    judged = await _judged(entity, here)
    chosen = _chosen(entity, judged, body.metrics)
    at = body.deployed_at.timestamp() if body.deployed_at else await _latest_deploy(entity)
    each = -math.expm1(math.log1p(-body.prior) / len(chosen))
    asked = JudgeDeploy(op="gate", at=at, window=body.window_seconds, prior=each)
    answers = await asyncio.gather(
        *(here.keyed.ask(KIND, key_of(entity, metric), asked) for metric in chosen)
    )
    metrics = [
        MetricShown(metric=metric, **found) for metric, found in zip(chosen, answers, strict=True)
    ]
    # Rounded: metrics of which nothing can be told yet have the prior together, to the digit.
    probability = round(1 - math.prod(1 - found.probability for found in metrics), 12)
    before = max(found.before for found in metrics)
    now = here.clocks.wall()
    return GateShown(
        entity=entity,
        open=probability < body.threshold,
        probability=probability,
        before=before,
        verdict=verdict_of(probability, before),
        observations=max(found.observations for found in metrics),
        deployed_at=isoformat(at),
        metrics=metrics,
        event_time=isoformat(judged.event_time),
        stale=all(is_stale(judged.metrics[metric], now) for metric in chosen),
    )


async def _judged(entity: str, here: Here) -> Judged:
    try:
        found = await read_judged(here.replica.redis, [entity])
    except REDIS_AWAY as away:
        raise UnavailableError(
            "Redis, which holds what is said of entities, cannot be reached: try again"
        ) from away
    if entity not in found:
        raise NotFoundError(
            f"No stream follows the telemetry of {entity!r}: GET /entities lists what is measured"
        )
    return found[entity]


def _chosen(entity: str, judged: Judged, metrics: Sequence[str] | None) -> list[str]:
    chosen = list(dict.fromkeys(metrics or judged.metrics))
    if unknown := [each for each in chosen if each not in judged.metrics]:
        raise NotFoundError(
            f"Of {entity!r} no stream follows {', '.join(unknown)}: those that are followed are "
            f"{', '.join(judged.metrics)}"
        )
    return chosen


async def _latest_deploy(entity: str) -> float:
    page = await history.ask(Questions.timeline, 1, kinds=["deploy"], entity=entity)
    if not page.events:
        raise NotFoundError(
            f"The timeline has no deploy of {entity!r}: give deployed_at, when it began"
        )
    found: Any = page.events[0]["time"]
    return float(found.timestamp())
