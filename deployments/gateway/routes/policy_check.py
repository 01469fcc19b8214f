"""Whether a safety policy may be active: proved, or shown by examples where not."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError

from access.keys import Principal
from deployments.api.errors import InvalidError
from deployments.api.policy_check import PolicyCheck, PolicyChecked
from deployments.gateway.bodies.reader import UNFIT, fields_of, read_body
from deployments.gateway.bodies.room import BodyPermit
from deployments.gateway.routes.access import Here, admitted

router = APIRouter(tags=["safety"], dependencies=[Depends(admitted)])

MOST_BYTES = 1_000_000
CHECK: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/PolicyCheck"}}},
    }
}


@router.post(
    "/safety/policy/check",
    summary="Check a policy: prove that it holds together, or show by examples where not",
    openapi_extra=CHECK,
)
async def check(
    request: Request, here: Here, principal: Annotated[Principal, Depends(admitted)]
) -> PolicyChecked:
    permit = BodyPermit(here.post_room, principal.key_id)
    try:
        raw = await read_body(request.receive, most_bytes=MOST_BYTES, large=permit.take)
        asked = PolicyCheck.model_validate_json(raw)
    except ValidationError as refusal:
        raise InvalidError(UNFIT, fields_of(refusal.errors())) from refusal
    finally:
        permit.give_back()
    active = here.active() if asked.against == "active" else None
    report = await here.policy_checks.check(
        asked.policy,
        None if active is None else active.document.safety,
        only_changed=asked.only_changed,
    )
    return PolicyChecked(
        passes=report.passes,
        findings=list(report.findings),
        families=list(report.families),
        config_version=None if active is None else active.number,
        questions=report.questions,
        seconds=report.seconds,
    )
