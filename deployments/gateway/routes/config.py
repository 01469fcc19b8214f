"""The configuration, read side."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, Field

from config_store.errors import ConfigError, UnknownVersionError
from config_store.store import Listed, Version
from deployments.api.errors import ConflictError, NotFoundError, UnavailableError
from deployments.gateway.routes.access import Here, admitted
from settings.redis_connection import REDIS_AWAY

router = APIRouter(tags=["configuration"], dependencies=[Depends(admitted)])


class ConfigVersion(BaseModel):
    version: int
    config_hash: str
    author: str
    reason: str
    created: datetime
    document: dict[str, Any]


class ConfigHistory(ConfigVersion):
    history: list[int]


class ConfigSummary(BaseModel):
    version: int
    config_hash: str
    author: str
    reason: str
    created: datetime | None
    active: bool
    unreadable: str = Field("", description="Why this release cannot read it, where it cannot.")


def _describe(version: Version) -> dict[str, Any]:
    return {
        "version": version.number,
        "config_hash": version.config_hash,
        "author": version.author,
        "reason": version.reason,
        "created": version.created,
        "document": version.document.model_dump(mode="json"),
    }


@router.get("/config/active", summary="Get the active configuration, and the versions before it")
async def active(here: Here) -> ConfigHistory:
    version = here.active()
    numbers = [each.number for each in await _history(here, 50)]
    return ConfigHistory(**_describe(version), history=numbers)


@router.get("/config", summary="Get the active configuration")
async def current(here: Here) -> ConfigVersion:
    return ConfigVersion(**_describe(here.active()))


@router.get("/config/versions", summary="List all versions, newest first")
async def versions(
    here: Here, limit: Annotated[int, Query(ge=1, le=500)] = 50
) -> list[ConfigSummary]:
    now = here.active().number
    return [
        ConfigSummary(
            version=each.number,
            config_hash=each.config_hash,
            author=each.author,
            reason=each.reason,
            created=each.created,
            active=each.number == now,
            unreadable=each.unreadable,
        )
        for each in await _history(here, limit)
    ]


@router.get("/config/versions/{v}", summary="Get one version")
async def version(v: Annotated[int, Path(ge=1, le=2**31)], here: Here) -> ConfigVersion:
    try:
        return ConfigVersion(**_describe(await here.configs.get(v)))
    except UnknownVersionError as unknown:
        why = f"There is no configuration version {v}: GET /config/versions lists those that exist"
        raise NotFoundError(why) from unknown
    except ConfigError as unreadable:
        raise ConflictError(str(unreadable)) from unreadable
    except REDIS_AWAY as away:
        raise UnavailableError(
            "Redis, which holds the versions, cannot be reached: try again"
        ) from away


async def _history(here: Here, limit: int) -> tuple[Listed, ...]:
    try:
        return await here.configs.history(limit)
    except REDIS_AWAY as away:
        raise UnavailableError(
            "Redis, which holds the versions, cannot be reached: try again"
        ) from away
