"""How versions come into force and go out of it, and what is in the way: locks and freezes."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path
from pydantic import ValidationError

from config_store.changes.merge_patch import merged
from config_store.steering.commands import (
    Abort,
    AddFreeze,
    Advance,
    LeaveLock,
    RemoveFreeze,
    RollBack,
    TakeLock,
)
from config_store.steering.rollouts.steps import needs_evidence
from config_store.steering.settings import SteeringSettings
from config_store.steering.state import SteeringState
from deployments.api.config_rollouts import (
    AbortBody,
    AdvanceBody,
    DeployBody,
    RollBackBody,
    RolloutShown,
)
from deployments.api.config_steering import FreezeBody, LockBody, SettingsBody, SteeringShown
from deployments.api.errors import InvalidError
from deployments.gateway.bodies.reader import UNFIT, fields_of
from deployments.gateway.context import GatewayContext
from deployments.gateway.routes.access import Here, admitted
from deployments.gateway.routes.config_changes import By
from deployments.gateway.steering.status import describe_steering
from deployments.gateway.steering.words import actor_of, refusals
from deployments.history.look_times import first_look

router = APIRouter(tags=["configuration"], dependencies=[Depends(admitted)])


@router.post("/config/deploy", summary="Bring a version into force: at once, or step by step")
async def deploy(body: DeployBody, here: Here, by: By) -> RolloutShown:
    with refusals():
        return _rollout(here, await here.changes.deploy(body, actor_of(by)))


@router.get("/config/rollout", summary="Get how far the rollout is that goes on")
async def rollout(here: Here) -> RolloutShown:
    with refusals():
        return _rollout(here, await here.changes.steering.read())


@router.post("/config/rollout/advance", summary="Go on to the next step of a rollout")
async def advance(body: AdvanceBody, here: Here, by: By) -> RolloutShown:
    with refusals():
        return _rollout(here, await here.changes.command(Advance(body.id, body.step), actor_of(by)))


@router.post("/config/rollout/abort", summary="End a rollout: every key goes back at once")
async def abort(
    here: Here, by: By, body: Annotated[AbortBody, Body(default_factory=AbortBody)]
) -> RolloutShown:
    with refusals():
        going_on = (await here.changes.steering.read()).rollout
        name = body.id or ("" if going_on is None else going_on.id)
        # Also where none goes on: this very request may have ended it.
        return _rollout(here, await here.changes.command(Abort(name, body.reason), actor_of(by)))


@router.post("/config/rollback", summary="Go back to a version that was active, at once")
async def roll_back(
    here: Here, by: By, body: Annotated[RollBackBody, Body(default_factory=RollBackBody)]
) -> RolloutShown:
    with refusals():
        command = _going_back(body, await here.changes.steering.read())
        return _rollout(here, await here.changes.command(command, actor_of(by)))


@router.get("/config/steering", summary="Get where the configuration stands, and what to do")
async def steering(here: Here) -> SteeringShown:
    with refusals():
        return await _steering(here, await here.changes.steering.read())


@router.put("/config/lock", summary="Take the lock: nobody else drafts or deploys meanwhile")
async def lock(
    here: Here, by: By, body: Annotated[LockBody, Body(default_factory=LockBody)]
) -> SteeringShown:
    with refusals():
        command = TakeLock(body.reason, body.seconds)
        return await _steering(here, await here.changes.command(command, actor_of(by)))


@router.delete("/config/lock", summary="Leave the lock; an admin may take another's away")
async def unlock(here: Here, by: By) -> SteeringShown:
    with refusals():
        return await _steering(here, await here.changes.command(LeaveLock(), actor_of(by)))


@router.post("/config/freezes", summary="State a time in which nothing is deployed")
async def freeze(body: FreezeBody, here: Here, by: By) -> SteeringShown:
    begins = here.clocks.wall() if body.begins is None else body.begins.timestamp()
    command = AddFreeze(secrets.token_hex(4), body.reason, begins, body.ends.timestamp())
    with refusals():
        return await _steering(here, await here.changes.command(command, actor_of(by)))


@router.delete("/config/freezes/{id}", summary="Remove a freeze")
async def unfreeze(
    id: Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")],  # noqa: A002 - the contract's name
    here: Here,
    by: By,
) -> SteeringShown:
    with refusals():
        return await _steering(here, await here.changes.command(RemoveFreeze(id), actor_of(by)))


@router.get("/config/settings", summary="Get how versions come into force on this platform")
async def settings(here: Here) -> SteeringSettings:
    with refusals():
        return (await here.changes.steering.read()).settings


@router.put(
    "/config/settings",
    summary="Set how versions come into force: approvals, margins, aliases that move",
)
async def set_settings(body: SettingsBody, here: Here, by: By) -> SteeringSettings:
    with refusals():
        return await here.changes.set_settings(lambda before: _with(before, body), actor_of(by))


def _with(before: SteeringSettings, body: SettingsBody) -> SteeringSettings:
    changed = merged(before.model_dump(), body.model_dump(exclude_unset=True))
    try:
        return SteeringSettings.model_validate(changed)
    except ValidationError as refusal:
        raise InvalidError(UNFIT, fields_of(refusal.errors())) from refusal


async def _steering(here: GatewayContext, state: SteeringState) -> SteeringShown:
    running = await here.changes.running.all()
    return describe_steering(state, running, here.clocks.wall())


def _going_back(body: RollBackBody, seen: SteeringState) -> RollBack:
    """Name what is left: carried out late, the command leaves nothing else."""
    after = seen.active if body.after is None else body.after
    going_on = "" if seen.rollout is None else seen.rollout.id
    rollout = going_on if body.rollout is None else body.rollout
    return RollBack(body.reason, body.version, after, rollout)


def _rollout(here: GatewayContext, state: SteeringState) -> RolloutShown:
    now, rollout = here.clocks.wall(), state.rollout
    judged = None if rollout is None or not needs_evidence(rollout) else rollout
    return RolloutShown(
        active=state.active,
        rollout=rollout,
        last=state.last_rollout,
        share=0.0 if rollout is None else rollout.share_at(now),
        judged=judged is not None,
        first_look=None if judged is None else first_look(judged.step_begun),
        now=now,
    )
