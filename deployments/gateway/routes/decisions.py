"""Decisions as the ledger keeps them, and the proof that they are there."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from access.keys import Principal
from deployments.api.audit import AuditShown, NoAudit
from deployments.api.endpoint import DECISION_ID
from deployments.api.errors import NotFoundError
from deployments.api.timestamps import Timestamp
from deployments.gateway.routes.access import Here, admitted
from deployments.history.client import ask
from deployments.history.questions import Questions

router = APIRouter(tags=["decisions"], dependencies=[Depends(admitted)])

IdInPath = Annotated[str, Path(pattern=f"^{DECISION_ID}$")]


@router.get(
    "/decisions/{id}", summary="Get one decision, as it was recorded", response_model=dict[str, Any]
)
async def decision(
    id: IdInPath,  # noqa: A002 - the contract's name
    here: Here,
    principal: Annotated[Principal, Depends(admitted)],
) -> Response:
    # The very bytes that were hashed: to read and write them anew would cost as much as to find.
    return Response(await here.lookups.row(id, principal.key_id), media_type="application/json")


@router.get("/metrics/decisions", summary="List the latest decisions")
async def decisions(
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    family: Annotated[str | None, Query(pattern=r"^[a-z_-]{1,32}$")] = None,
    since: Timestamp | None = None,
) -> list[dict[str, Any]]:
    return await ask(Questions.decisions, limit, family, since)


@router.get(
    "/ledger/proof/{id}", summary="Get the proof that a decision is in the ledger unchanged"
)
async def proof(
    id: IdInPath,  # noqa: A002 - the contract's name
) -> dict[str, Any]:
    found = await ask(Questions.proof, id)
    if found is None:
        raise NotFoundError(
            f"There is no decision {id} in the drained ledger: try again in a second"
        )
    return found


@router.get(
    "/ledger/audit", summary="Get the latest audit of the ledger: its progress and what it found"
)
async def audit() -> AuditShown | NoAudit:
    return await ask(Questions.audit) or NoAudit()


@router.post("/ledger/audit", summary="Verify the ledger, in the background", status_code=202)
async def begin_audit() -> AuditShown:
    return await ask(Questions.begin_audit)
