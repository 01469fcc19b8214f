"""What came true: POST /models/{family}/outcome moves the intervals that follow."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field

from access.keys import Principal
from deployments.api.endpoint import DecisionId
from deployments.api.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from deployments.gateway.routes.access import Here, admitted
from deployments.runtime.coverage.keeper import base_ends
from settings.redis_connection import REDIS_AWAY

router = APIRouter(tags=["inference"], dependencies=[Depends(admitted)])

# The families that take outcomes, by both their names, and the field that holds the truth.
FAMILIES = {"tail": "tail", "tail-slo": "tail", "capacity": "capacity"} | {
    "capacity-planning": "capacity"
}
TRUTHS = {"tail": "latency_ms", "capacity": "rate"}

Positive = Annotated[float, Field(ge=0, le=1e15)]


class Truth(BaseModel):
    """One of the two, by the family."""

    model_config = ConfigDict(
        extra="forbid",
        allow_inf_nan=False,
        json_schema_extra={"minProperties": 1, "maxProperties": 1},
    )

    latency_ms: Positive | None = Field(
        None, description="For tail-slo: of a request that met what was asked about."
    )
    rate: Positive | None = Field(None, description="For capacity-planning: the next hour's mean.")


class OutcomeBody(BaseModel):
    """The truth about one decision."""

    model_config = ConfigDict(
        extra="forbid",
        allow_inf_nan=False,
        json_schema_extra={
            "examples": [
                {
                    "decision_id": "019343a1-7b1c-7abc-9def-0123456789ab",
                    "values": {"latency_ms": 21.7},
                }
            ]
        },
    )

    decision_id: DecisionId
    values: Truth


class OutcomeAnswer(BaseModel):
    decision_id: str
    held: bool = Field(description="Whether the decision's interval held the truth.")
    outcomes: int
    coverage: float | None = Field(description="Share of this entity's outcomes that were held.")
    recent_coverage: float | None = Field(description="The same of the latest 200.")
    holds: bool = Field(description="Whether the latest intervals held as often as they say.")
    offset: float = Field(description="By which factor, as a logarithm, intervals are widened.")


@router.post(
    "/models/{family}/outcome",
    summary="Tell what came true of a decision",
    responses={
        409: {
            "description": "The outcome of this decision was counted already, "
            "or the fallback gave its answer."
        }
    },
)
async def outcome(
    family: Annotated[str, Path(pattern=r"^[a-z-]{1,32}$")],
    body: OutcomeBody,
    here: Here,
    principal: Annotated[Principal, Depends(admitted)],
) -> OutcomeAnswer:
    name = FAMILIES.get(family)
    if name is None:
        raise NotFoundError(f"{family} takes no outcomes; these do: {', '.join(FAMILIES)}")
    truth = _truth_of(body.values, family, TRUTHS[name])
    decision = orjson.loads(await here.lookups.row(body.decision_id, principal.key_id))
    if decision["family"] != name:
        raise NotFoundError(f"Decision {body.decision_id} is one of {decision['family']}")
    # The fallback's interval is a fixed rule's: how often it holds says nothing of the model.
    if decision["answer"]["safety"]["fallback"]:
        raise ConflictError(
            f"The fallback answered decision {body.decision_id}: its outcome does not count"
        )
    interval = decision["answer"]["interval"]
    offset = (interval.get("online") or {}).get("offset") or 0.0
    lower, upper = base_ends(interval["lower"], interval["upper"], offset)
    ask = {
        "decision": body.decision_id,
        "lower": lower,
        "upper": upper,
        "offset": offset,
        "truth": truth,
    }
    try:
        found = await here.outcomes.take(name, decision["entity"], ask)
    except REDIS_AWAY as away:
        raise UnavailableError("Redis is away: send the outcome again") from away
    return OutcomeAnswer(decision_id=body.decision_id, **found)


def _truth_of(values: Truth, family: str, field: str) -> float:
    """Take the one field that this family's outcomes have."""
    given: dict[str, float] = values.model_dump(exclude_none=True)
    if given.keys() != {field}:
        raise InvalidError(
            f"An outcome of {family} has one value, {field}",
            {f"body.values.{name}": "not taken here" for name in given if name != field}
            | ({} if field in given else {f"body.values.{field}": "missing"}),
        )
    return given[field]
