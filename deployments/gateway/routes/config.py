"""The configuration, read side: versions, their lives, and what differs between two."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query

from config_store.changes.difference import Difference, differences
from config_store.errors import ConfigError
from config_store.releases import release_of
from config_store.steering.state import SteeringState, VersionLife
from config_store.store import Listed, Version
from deployments.api.config_versions import (
    ConfigHistory,
    ConfigSummary,
    ConfigVersion,
    DifferenceShown,
    DiffShown,
    LifeShown,
)
from deployments.gateway.context import GatewayContext
from deployments.gateway.routes.access import Here, admitted
from deployments.gateway.steering.words import describe_life, refusals

router = APIRouter(tags=["configuration"], dependencies=[Depends(admitted)])

VersionNumber = Annotated[int, Path(ge=1, le=2**31)]


async def lives(here: GatewayContext, number: int) -> tuple[SteeringState, VersionLife]:
    """Give the steering state, and the life of one version."""
    state = await here.changes.steering.read()
    known = state.versions.get(number)
    return state, known or await here.changes.steering.life(number)


async def described(here: GatewayContext, version: Version) -> dict[str, Any]:
    """Describe a version with its life, as far as it is kept."""
    return {**_fields(version), "life": await _life(here, version.number)}


def _fields(version: Version) -> dict[str, Any]:
    return {
        "version": version.number,
        "config_hash": version.config_hash,
        "author": version.author,
        "reason": version.reason,
        "created": version.created,
        "document": version.document.model_dump(mode="json"),
        "release": release_of(version.document),
    }


async def _life(here: GatewayContext, number: int) -> LifeShown | None:
    try:
        state, life = await lives(here, number)
    except ConfigError:  # older than those that are kept, or not to be trusted
        return None
    return describe_life(life, state.settings)


@router.get("/config/active", summary="Get the active configuration, and the versions before it")
async def active(here: Here) -> ConfigHistory:
    with refusals():
        numbers = [each.number for each in await here.configs.history(50)]
        return ConfigHistory(**await described(here, here.active()), history=numbers)


@router.get("/config", summary="Get the active configuration")
async def current(here: Here) -> ConfigVersion:
    # Of what is in memory: this one is answered without Redis too.
    version, state = here.active(), here.replica.steering.value
    life = None if state is None else state.versions.get(version.number)
    if state is None or life is None or life.content_hash != version.config_hash:
        return ConfigVersion(**_fields(version))
    return ConfigVersion(**_fields(version), life=describe_life(life, state.settings))


@router.get("/config/versions", summary="List all versions, newest first")
async def versions(
    here: Here, limit: Annotated[int, Query(ge=1, le=500)] = 50
) -> list[ConfigSummary]:
    with refusals():
        found = await here.configs.history(limit)
        state = await _state(here)
    return [_summary(each, here.active().number, state) for each in found]


async def _state(here: GatewayContext) -> SteeringState | None:
    """Give the steering state, where it can be trusted: the list is as good without lives."""
    try:
        return await here.changes.steering.read()
    except ConfigError:
        return None


def _summary(each: Listed, active_number: int, state: SteeringState | None) -> ConfigSummary:
    life = None if state is None else state.versions.get(each.number)
    return ConfigSummary(
        version=each.number,
        config_hash=each.config_hash,
        author=each.author,
        reason=each.reason,
        created=each.created,
        active=each.number == active_number,
        unreadable=each.unreadable,
        life=None if state is None or life is None else describe_life(life, state.settings),
    )


@router.get("/config/versions/{v}", summary="Get one version")
async def version(v: VersionNumber, here: Here) -> ConfigVersion:
    with refusals():
        return ConfigVersion(**await described(here, await here.configs.get(v)))


@router.get("/config/diff", summary="Get what differs between two versions")
async def diff(
    here: Here,
    since: Annotated[int, Query(alias="from", ge=1, le=2**31)],
    until: Annotated[int, Query(alias="to", ge=1, le=2**31)],
) -> DiffShown:
    with refusals():
        before, after = await here.configs.get(since), await here.configs.get(until)
    found = await asyncio.to_thread(_differences, before, after)
    shown = [
        DifferenceShown(path=each.path, kind=each.kind, before=each.before, after=each.after)
        for each in found
    ]
    return DiffShown.model_validate({"from": since, "to": until, "differences": shown})


def _differences(before: Version, after: Version) -> list[Difference]:
    documents = (each.document.model_dump(mode="json") for each in (before, after))
    return differences(*documents)
