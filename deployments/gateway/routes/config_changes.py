"""Versions of the configuration, of its safety policy too: drafted, validated and approved."""

from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Body, Depends, Query, Request
from pydantic import BaseModel, ValidationError
from starlette.responses import Response

from access.keys import Principal
from config_store.document import ConfigDocument
from config_store.errors import RefusedChangeError
from config_store.steering.commands import Approve, Withdraw
from deployments.api.config_drafts import (
    ApproveBody,
    ConfigPatch,
    DraftBody,
    PolicyDraftBody,
    WithdrawBody,
)
from deployments.api.config_versions import (
    ConfigVersion,
    PatchedShown,
    ValidatedShown,
    WithdrawnShown,
)
from deployments.api.errors import InvalidError
from deployments.gateway.bodies.reader import UNFIT, fields_of, read_body
from deployments.gateway.bodies.room import BodyPermit
from deployments.gateway.config import rebase as config_rebase
from deployments.gateway.context import GatewayContext
from deployments.gateway.routes.access import Here, admitted
from deployments.gateway.routes.config import VersionNumber, described, lives
from deployments.gateway.steering.words import actor_of, describe_life, refusals

router = APIRouter(tags=["configuration"], dependencies=[Depends(admitted)])

BodyModel = TypeVar("BodyModel", bound=BaseModel)
By = Annotated[Principal, Depends(admitted)]

# A document of two hundred features and as many sources.
MOST_BYTES = 1_000_000
NOT_YET: dict[int | str, dict[str, Any]] = {
    202: {"model": PatchedShown, "description": "The version is made, and not deployed."}
}


def _body(model: str) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{model}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


@router.put(
    "/config",
    summary="Patch the active configuration: make a version, and deploy it where that is allowed",
    openapi_extra=_body("ConfigPatch"),
    responses=NOT_YET,
)
async def patch(
    request: Request,
    response: Response,
    here: Here,
    by: By,
    message: Annotated[
        str, Query(min_length=1, max_length=500, description="What the patch is for.")
    ] = "a patch",
    base: Annotated[
        int | None,
        Query(ge=1, le=2**31, description="The version it was written for: else a conflict."),
    ] = None,
) -> PatchedShown:
    asked = await _read(request, here, by, ConfigPatch)
    with refusals():
        found = await here.changes.patch(asked.root, actor_of(by), message, base)
        shown = await described(here, found.version)
    if found.pending:
        response.status_code = 202
    return PatchedShown(
        **shown, changed=found.changed, deployed=not found.pending, pending=found.pending
    )


@router.post(
    "/config/versions",
    summary="Draft a version: a whole document, or a patch of its parent's",
    status_code=201,
    openapi_extra=_body("DraftBody"),
)
async def draft(request: Request, here: Here, by: By) -> ConfigVersion:
    asked = await _read(request, here, by, DraftBody)
    with refusals():
        parent = asked.parent or (await here.changes.steering.read()).active
        if asked.patch is not None:
            document = await here.changes.patched(await here.configs.get(parent), asked.patch)
        else:
            document = await here.changes.read(asked.document or {}, parent)
        return await _drafted(here, by, asked.message, document, parent)


@router.put(
    "/safety/policy",
    summary="Draft a version with another safety policy; it is proved when it is validated",
    status_code=201,
    openapi_extra=_body("PolicyDraftBody"),
)
async def draft_policy(request: Request, here: Here, by: By) -> ConfigVersion:
    asked = await _read(request, here, by, PolicyDraftBody)
    with refusals():
        parent = asked.parent or (await here.changes.steering.read()).active
        before = (await here.configs.get(parent)).document.model_dump(mode="json")
        document = await here.changes.read(before | {"safety": asked.policy}, parent)
        return await _drafted(here, by, asked.message, document, parent)


@router.post(
    "/config/versions/{v}/rebase",
    summary="Draft what a version changes anew, on top of the active one",
    status_code=201,
)
async def rebase(v: VersionNumber, here: Here, by: By) -> ConfigVersion:
    with refusals():
        life = await config_rebase.rebase(here.changes, v, actor_of(by))
        return ConfigVersion(**await described(here, await here.configs.get(life.number)))


@router.post(
    "/config/versions/{v}/validate",
    summary="Check a version as the replicas would go by it",
)
async def validate(v: VersionNumber, here: Here, by: By) -> ValidatedShown:
    with refusals():
        await here.configs.get(v)
        checked = await here.changes.validate(v, actor_of(by))
        state, life = await lives(here, v)
    return ValidatedShown(
        version=v,
        good=not checked.faults,
        faults=checked.faults,
        findings=list(checked.findings),
        life=describe_life(life, state.settings),
    )


@router.post("/config/versions/{v}/approve", summary="Approve a version that another wrote")
async def approve(v: VersionNumber, body: ApproveBody, here: Here, by: By) -> ConfigVersion:
    with refusals():
        version = await here.configs.get(v)
        if body.config_hash != version.config_hash:
            raise RefusedChangeError(
                f"Version {v} has the hash {version.config_hash[:12]}, and you read one with "
                f"{body.config_hash[:12]}: read it again, and approve what you read."
            )
        command = Approve(v, body.config_hash, body.acknowledged)
        await here.changes.command(command, actor_of(by))
        return ConfigVersion(**await described(here, version))


@router.post(
    "/config/versions/{v}/withdraw",
    summary="Give a version up that was never deployed, and make room for another",
)
async def withdraw(
    v: VersionNumber,
    here: Here,
    by: By,
    body: Annotated[WithdrawBody, Body(default_factory=WithdrawBody)],
) -> WithdrawnShown:
    with refusals():
        state = await here.changes.command(Withdraw(v, body.reason), actor_of(by))
    return WithdrawnShown(version=v, life=describe_life(state.versions[v], state.settings))


async def _drafted(
    here: GatewayContext, by: Principal, message: str, document: ConfigDocument, parent: int
) -> ConfigVersion:
    life = await here.changes.draft(actor_of(by), message, document, parent)
    return ConfigVersion(**await described(here, await here.configs.get(life.number)))


async def _read(
    request: Request, here: GatewayContext, by: Principal, model: type[BodyModel]
) -> BodyModel:
    permit = BodyPermit(here.post_room, by.key_id)
    try:
        raw = await read_body(request.receive, most_bytes=MOST_BYTES, large=permit.take)
        return model.model_validate_json(raw)
    except ValidationError as refusal:
        raise InvalidError(UNFIT, fields_of(refusal.errors())) from refusal
    finally:
        permit.give_back()
