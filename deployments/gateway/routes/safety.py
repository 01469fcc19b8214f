"""What safety goes by."""

from typing import Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from deployments.gateway.routes.access import Here, admitted

router = APIRouter(tags=["safety"], dependencies=[Depends(admitted)])


class PolicyInForce(BaseModel):
    config_version: int
    policy: dict[str, Any]


@router.get("/safety/policy", summary="Get the policy that is in force")
async def policy(here: Here) -> PolicyInForce:
    version = here.active()
    return PolicyInForce(
        config_version=version.number, policy=version.document.safety.model_dump(mode="json")
    )
