"""What was in force at a time and who let it in, and what differs from what is in force now."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Query

from deployments.api.config_past import AtShown, DriftShown, FindingShown, RepairBody, RepairedShown
from deployments.api.timestamps import Timestamp
from deployments.gateway.context import GatewayContext
from deployments.gateway.routes.access import Here, admitted
from deployments.gateway.routes.config_changes import By
from deployments.gateway.steering.config_at import config_at
from deployments.gateway.steering.drift import active_now
from deployments.gateway.steering.status import describe_running
from deployments.gateway.steering.words import actor_of, refusals

router = APIRouter(tags=["configuration"], dependencies=[Depends(admitted)])


@router.get("/config/at", summary="Get what was in force at a time, and who let it in")
async def at(
    here: Here,
    time: Annotated[
        Timestamp, Query(description="RFC 3339, such as 2026-11-20T08:00:00Z; now is the latest.")
    ],
) -> AtShown:
    with refusals():
        redis, steering = here.replica.redis, here.changes.steering
        return await config_at(redis, steering, here.configs, time, here.clocks.wall())


@router.get("/config/drift", summary="Get what each replica runs, and what was changed in Redis")
async def drift(here: Here) -> DriftShown:
    return await _drift(here)


@router.post("/config/repair", summary="Put right what drifted: write it again, and load it anew")
async def repair(
    here: Here, by: By, body: Annotated[RepairBody, Body(default_factory=RepairBody)]
) -> RepairedShown:
    with refusals():
        now = here.clocks.wall()
        done = await here.repair.put_back(actor_of(by), now, rebuild=body.rebuild)
    found = await _drift(here)
    return RepairedShown(**dict(found), repaired=done)


async def _drift(here: GatewayContext) -> DriftShown:
    with refusals():
        findings = await here.repair.findings()
        active, wanted = await active_now(here.changes.steering, here.active())
        replicas = describe_running(active, wanted, await here.changes.running.all())
    return DriftShown(
        version=active,
        config_hash=wanted,
        complete=all(each.state != "behind" for each in replicas),
        replicas=replicas,
        findings=[FindingShown(what=each.what, remedy=each.remedy) for each in findings],
    )
