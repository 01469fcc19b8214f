"""What came true: POST /models/{family}/outcome moves the intervals that follow.

Each family has a route of its own, by both its names: each has its own field that holds the truth,
and a description of one path for all could not say which.
"""

from typing import Annotated, Any, NamedTuple

import orjson
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from access.keys import Principal
from deployments.api.endpoint import DecisionId
from deployments.api.errors import ConflictError, NotFoundError, UnavailableError
from deployments.gateway.context import GatewayContext
from deployments.gateway.routes.access import Here, admitted
from deployments.runtime.coverage.handler import base_ends
from deployments.runtime.coverage.operations import TakeOutcome
from settings.redis_connection import REDIS_AWAY

router = APIRouter(tags=["inference"], dependencies=[Depends(admitted)])

Positive = Annotated[float, Field(ge=0, le=1e15)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class _About(_Strict):
    decision_id: DecisionId


class Latency(_Strict):
    latency_ms: Positive = Field(
        description="The latency of a request that ran under the conditions of the decision."
    )


class Rate(_Strict):
    rate: Positive = Field(description="The mean rate of the hour that was predicted.")


def _example(values: JsonDict) -> ConfigDict:
    decision = "019343a1-7b1c-7abc-9def-0123456789ab"
    return ConfigDict(json_schema_extra={"examples": [{"decision_id": decision, "values": values}]})


class TailOutcome(_About):
    """The true value that one decision of tail-slo predicted."""

    model_config = _example({"latency_ms": 21.7})
    values: Latency


class CapacityOutcome(_About):
    """The true value that one decision of capacity-planning predicted."""

    model_config = _example({"rate": 3400.0})
    values: Rate


class OutcomeAnswer(BaseModel):
    decision_id: str
    held: bool = Field(description="Whether the true value was inside the decision's interval.")
    outcomes: int
    coverage: float | None = Field(
        description="The share of this entity's outcomes that were inside their intervals."
    )
    recent_coverage: float | None = Field(description="The same share of the latest 200 outcomes.")
    holds: bool = Field(
        description="Whether the latest intervals contained the true value as often as they should."
    )
    offset: float = Field(description="The factor by which intervals are widened, as a logarithm.")


class _Outcome(NamedTuple):
    """What came true by a client, whichever family's field held it."""

    family: str
    decision_id: str
    truth: float


Caller = Annotated[Principal, Depends(admitted)]


ROUTE: dict[str, Any] = {
    "summary": "Report the true value that a decision predicted",
    "responses": {
        409: {
            "description": "The outcome of this decision has already been counted, "
            "or its answer came from the fallback, and no model's stands behind it."
        }
    },
}


@router.post("/models/tail-slo/outcome", **ROUTE)
@router.post("/models/tail/outcome", **ROUTE)
async def tail_outcome(body: TailOutcome, here: Here, principal: Caller) -> OutcomeAnswer:
    return await _take(_Outcome("tail", body.decision_id, body.values.latency_ms), here, principal)


@router.post("/models/capacity-planning/outcome", **ROUTE)
@router.post("/models/capacity/outcome", **ROUTE)
async def capacity_outcome(body: CapacityOutcome, here: Here, principal: Caller) -> OutcomeAnswer:
    return await _take(_Outcome("capacity", body.decision_id, body.values.rate), here, principal)


async def _take(outcome: _Outcome, here: GatewayContext, principal: Principal) -> OutcomeAnswer:
    decision = orjson.loads(await here.lookups.row(outcome.decision_id, principal.key_id))
    if decision["family"] != outcome.family:
        raise NotFoundError(
            f"Decision {outcome.decision_id} belongs to the family {decision['family']}, "
            f"not to {outcome.family}"
        )
    given = decision["answer"]["interval"]
    interval = _of_the_model(decision)
    offset = (interval.get("online") or {}).get("offset") or 0.0
    lower, upper = base_ends(interval["lower"], interval["upper"], offset)
    ask: TakeOutcome = {
        "decision": outcome.decision_id,
        "lower": lower,
        "upper": upper,
        "offset": offset,
        "truth": outcome.truth,
        "given": interval is given,
    }
    try:
        found = await here.outcomes.take(outcome.family, decision["entity"], ask)
    except REDIS_AWAY as away:
        raise UnavailableError("Redis cannot be reached: send the outcome again") from away
    # Whoever asks means the interval that they were given; sent again, an outcome is only known.
    if interval is not given or "held" not in found:
        found["held"] = _holds(given, outcome.truth)
    return OutcomeAnswer(decision_id=outcome.decision_id, **found)


def _holds(interval: dict[str, Any] | None, truth: float) -> bool:
    """Say whether an interval holds the truth; an end that is open leaves nothing out."""
    lower, upper = (None, None) if interval is None else (interval["lower"], interval["upper"])
    return (lower is None or lower <= truth) and (upper is None or truth <= upper)


def _of_the_model(decision: dict[str, Any]) -> dict[str, Any]:
    """Give the interval that the decision's outcome is held against.

    The fallback's is a fixed rule's: how often it holds says nothing of the model. Where it stands
    for an answer that might not leave, the model's counts: one too wide would be so for ever.
    """
    interval: dict[str, Any] | None = decision["answer"]["interval"]
    if decision["answer"]["safety"]["fallback"]:
        interval = decision.get("withheld_interval")
        if interval is None:
            raise ConflictError(
                f"The answer of decision {decision['decision_id']} came from the fallback: "
                "its outcome is not counted"
            )
    if interval is None or interval["lower"] is None or interval["upper"] is None:
        raise ConflictError(
            f"The interval of decision {decision['decision_id']} is open at an end: "
            "its outcome is not counted"
        )
    return interval
