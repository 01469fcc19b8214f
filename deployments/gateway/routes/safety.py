"""What safety goes by, and what people put over it: emergency mode and overrides."""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Query
from pydantic import BaseModel

from access.keys import Principal
from config_store.steering.commands import (
    AddOverride,
    EmergencyOff,
    EmergencyOn,
    RemoveOverride,
)
from deployments.api.errors import ConflictError, InvalidError
from deployments.api.front_ids import id_for
from deployments.api.safety import (
    FAMILY_PATTERN,
    ChecksShown,
    EmergencyBody,
    EmergencyState,
    OverrideBody,
    OverrideShown,
    SafetyStatus,
    Severity,
    ViolationRecord,
)
from deployments.api.timestamps import Timestamp
from deployments.gateway.context import GatewayContext
from deployments.gateway.routes.access import Here, admitted
from deployments.gateway.steering.words import actor_of, refusals
from deployments.history.client import ask
from deployments.history.questions import Questions
from observability.exposition import merge
from observability.metrics import GAUGE_RULES
from observability.snapshots import gather, readable
from safety.errors import ImpossibleOverrideError, UnknownFamilyError
from safety.overrides import CHECKS, number_of
from settings.redis_connection import REDIS_AWAY

router = APIRouter(tags=["safety"], dependencies=[Depends(admitted)])

# What shall hold longer belongs into the policy, where it is checked and approved.
LONGEST_OVERRIDE = timedelta(days=30)
OVERRIDE_ID = r"^[0-9a-f]{16}$"
VIOLATIONS = "safety_violations_total"

Asking = Annotated[Principal, Depends(admitted)]


class PolicyInForce(BaseModel):
    config_version: int
    policy: dict[str, Any]


@router.get("/safety/policy", summary="Get the policy that is in force")
async def policy(here: Here) -> PolicyInForce:
    version = here.active()
    return PolicyInForce(
        config_version=version.number, policy=version.document.safety.model_dump(mode="json")
    )


@router.get("/safety/status", summary="Report whether emergency mode is on, and what was broken")
async def status(here: Here) -> SafetyStatus:
    state, now = here.replica.steering.value, here.clocks.wall()
    emergency = None if state is None else state.emergency
    holding = () if state is None else state.overrides_at(now)
    asked_off = not here.settings.enable_safety_checks
    off_for = sorted({each.family for each in holding if asked_off and each.field == CHECKS})
    return SafetyStatus(
        **EmergencyState.of(emergency).model_dump(),
        config_version=here.active().number,
        overrides=len(holding),
        checks=ChecksShown(asked_off=asked_off, off_for=off_for),
        revision=None if state is None else state.revision,
        state_age_seconds=round(here.replica.steering.age_seconds, 3),
        violations=await _violations_by_family(here),
    )


@router.post("/safety/emergency-mode", summary="Turn emergency mode on; for admins also off")
async def emergency_mode(
    here: Here,
    principal: Asking,
    body: Annotated[EmergencyBody, Body(default_factory=EmergencyBody)],
    enable: Annotated[bool | None, Query(description="In the body's place.")] = None,
    reason: Annotated[str | None, Query(max_length=500, description="In the body's place.")] = None,
) -> EmergencyState:
    wanted = enable if body.enable is None else body.enable
    if wanted is None:
        raise InvalidError("Say whether to turn it on", {"enable": "it is missing"})
    why = (body.reason or reason or "").strip() or "no reason was given"
    with refusals():
        command = EmergencyOn(why) if wanted else EmergencyOff(why, await _begun(here))
        state = await here.changes.command(command, actor_of(principal))
    return EmergencyState.of(state.emergency)


@router.get("/safety/violations", summary="List the limits that answers broke, newest first")
async def violations(
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    family: Annotated[str | None, Query(pattern=FAMILY_PATTERN)] = None,
    severity: Annotated[Severity | None, Query(description="Of this level only.")] = None,
    since: Annotated[
        Timestamp | None, Query(description="From this time on; of the last day if left out.")
    ] = None,
) -> list[ViolationRecord]:
    rows = await ask(Questions.violations, limit, family, severity, since)
    return [each for row in rows for each in _records(row, severity)][:limit]


@router.post("/safety/override", summary="Put a value in an answer's place", status_code=201)
async def override(body: OverrideBody, here: Here, principal: Asking) -> OverrideShown:
    _check(body, here)
    command = AddOverride(
        id=id_for("override", 16) or secrets.token_hex(8),
        family=body.family,
        field=body.field,
        value=body.value,
        reason=body.reason,
        expires=body.expires_at.timestamp(),
        entity=body.entity,
    )
    with refusals():
        state = await here.changes.command(command, actor_of(principal))
    made = next((each for each in state.overrides if each.id == command.id), None)
    if made is None:  # the request was sent again
        raise ConflictError("The override was made, and another took its place or it was ended")
    return OverrideShown.of(made)


@router.get("/safety/overrides", summary="List the overrides that hold now")
async def overrides(here: Here) -> list[OverrideShown]:
    state = here.replica.steering.value
    holding = () if state is None else state.overrides_at(here.clocks.wall())
    return [OverrideShown.of(each) for each in holding]


@router.delete("/safety/override/{id}", summary="End an override")
async def remove_override(
    id: Annotated[str, Path(pattern=OVERRIDE_ID)],  # noqa: A002 - the contract's name
    here: Here,
    principal: Asking,
) -> list[OverrideShown]:
    """End it, and list those that are left."""
    with refusals():
        state = await here.changes.command(RemoveOverride(id), actor_of(principal))
    return [OverrideShown.of(each) for each in state.overrides_at(here.clocks.wall())]


async def _begun(here: GatewayContext) -> float:
    """Tell when the emergency began that an end means: carried out late, it ends no other."""
    emergency = (await here.changes.steering.read()).emergency
    return 0.0 if emergency is None else emergency.since


def _check(body: OverrideBody, here: GatewayContext) -> None:
    """Refuse what could never be put into an answer."""
    now = here.clocks.wall()
    if not now < body.expires_at.timestamp() <= now + LONGEST_OVERRIDE.total_seconds():
        days = LONGEST_OVERRIDE.days
        why = f"it must end within {days} days from now: what holds longer belongs to the policy"
        raise InvalidError("The override has no such time", {"expires_at": why})
    try:
        policy = here.active().document.safety.family(body.family)
        number_of(policy, body.field, body.value)
    except UnknownFamilyError as unknown:
        raise InvalidError("There is no such family", {"family": str(unknown)}) from unknown
    except ImpossibleOverrideError as refusal:
        raise InvalidError("The override cannot be", {refusal.at: str(refusal)}) from refusal


async def _violations_by_family(here: GatewayContext) -> dict[str, dict[str, int]] | None:
    try:
        snapshots = await gather(here.replica.redis)
    except REDIS_AWAY:
        return None
    found: dict[str, dict[str, int]] = {}
    for metric in merge(readable(snapshots), now=here.clocks.wall(), rules=GAUGE_RULES):
        for sample in metric.samples:
            if sample.name == VIOLATIONS:
                family = found.setdefault(sample.labels["model_type"], {})
                family[sample.labels["severity"]] = int(sample.value)
    return found


def _records(row: dict[str, Any], severity: str | None) -> Sequence[ViolationRecord]:
    answer = row["answer"]
    about = {
        "decision_id": row["decision_id"],
        "timestamp": datetime.fromisoformat(row["timestamp"]),
        "family": row["family"],
        "entity": row["entity"],
        "rung": answer["meta"].get("rung"),
        "model_version": row["model_version"],
        "config_version": row["config_version"],
    }
    parts = ("rule", "field", "value", "bound", "level", "message")
    return [
        ViolationRecord(**about, **{part: each[part] for part in parts})
        for each in answer["safety"]["violations"]
        if severity in (None, each["level"])
    ]
