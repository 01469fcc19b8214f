"""Liveness, readiness, status, and the front page of the API."""

import asyncio
from typing import Any, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from config_store.pinning import aliases_of, answering
from deployments.gateway.routes.access import Here, admitted
from deployments.runtime.platform_health import PlatformHealth, read_health
from deployments.runtime.version import VERSION
from features.telemetry.source_states import read_states
from observability.background import LOOP_AGES
from observability.exposition import merge
from observability.metrics import GAUGE_RULES
from observability.snapshots import gather, readable
from settings.redis_connection import REDIS_AWAY

open_router = APIRouter(tags=["platform"])
router = APIRouter(tags=["platform"], dependencies=[Depends(admitted)])


class Health(BaseModel):
    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    ready: bool
    parts: dict[str, bool]


class StorageShown(BaseModel):
    redis_used_bytes: int
    redis_limit_bytes: int
    disk_free_bytes: int


class Status(BaseModel):
    version: str
    degraded: bool
    degraded_reasons: list[str] = Field(
        description="The reasons for it; empty when everything works."
    )
    config_version: int | None
    families: list[str]
    lanes: dict[str, dict[str, int]]
    ledger: dict[str, Any]
    background_ages_s: dict[str, int] = Field(
        description="For each background loop, how many seconds ago it last completed "
        "its work: the longest of all replicas; without Redis, only of the "
        "gateway that answers."
    )
    demo: bool | None = Field(
        description="Whether features and forecasts are of the made-up demo platform, because no "
        "source of telemetry is connected; null while Redis, which knows, cannot be reached."
    )
    models_of_demo: list[str] = Field(
        description="Models that answer though they learned from the demo platform, while real "
        "sources are connected: each is trained anew as soon as there is enough telemetry."
    )
    storage: StorageShown | None = Field(description="Null until it was first measured.")
    platform: PlatformHealth | None = Field(
        description="What `ballast up` reports about the processes on its machine; null "
        "on a cluster."
    )


class Front(BaseModel):
    name: str
    version: str
    links: dict[str, str]


@open_router.get("/health", summary="Report that the process is alive")
async def health() -> Health:
    return Health()


@router.get(
    "/ready",
    summary="Report for each part whether requests would be answered",
    responses={
        503: {
            "model": Ready,
            "description": "Requests cannot be answered yet, or can no longer be answered.",
        }
    },
)
async def ready(here: Here, response: Response) -> Ready:
    parts = {
        "configuration": here.choice.active() is not None,
        "keys": here.keys.value is not None,
        "redis": await _redis_answers(here),
        "cluster": not _problems(await _platform(here)),
        "steering": here.up_to_date(),
    }
    # Without these three answers are degraded, not absent: a balancer must keep sending. Whom to
    # send to instead only the front knows, which asks all of them (launch/front/configuration.py).
    found = Ready(ready=parts["configuration"] and parts["keys"], parts=parts)
    if not found.ready:
        response.status_code = 503
        response.headers["retry-after"] = "1"
    return found


@router.get("/status", summary="Report what runs, and how well")
async def status(here: Here) -> Status:
    version, seen = here.choice.active(), here.replica.storage.seen
    platform, demo = await _platform(here), await _is_demo(here)
    reasons = [*here.degraded_reasons(), *_problems(platform)]
    return Status(
        version=VERSION,
        degraded=bool(reasons),
        degraded_reasons=reasons,
        config_version=None if version is None else version.number,
        families=sorted(here.families),
        lanes={
            family: {"waiting_rows": lane.waiting_rows, "batches_in_flight": lane.batches_in_flight}
            for family, lane in here.lanes.by_family.items()
        },
        ledger={
            "degraded": here.ledger.degraded,
            "spooled_entries": here.ledger.spooled_entries,
        },
        background_ages_s=await _background_ages(here),
        demo=demo,
        models_of_demo=[] if demo else await asyncio.to_thread(_models_of_demo, here),
        storage=None
        if seen is None
        else StorageShown(
            redis_used_bytes=seen.redis_used,
            redis_limit_bytes=seen.redis_limit,
            disk_free_bytes=seen.disk_free,
        ),
        platform=platform,
    )


@router.get("/", summary="Get the name, the version and links")
async def front() -> Front:
    links = {
        "docs": "/docs",
        "redoc": "/redoc",
        "openapi": "/openapi.json",
        "health": "/health",
        "status": "/status",
        "metrics": "/metrics",
    }
    return Front(name="Ballast", version=VERSION, links=links)


async def _background_ages(here: Here) -> dict[str, int]:
    ages = here.replica.loops.ages()
    try:
        snapshots = await gather(here.replica.redis)
    except REDIS_AWAY:
        return {loop: int(age) for loop, age in sorted(ages.items())}
    for family in merge(readable(snapshots), now=here.clocks.wall(), rules=GAUGE_RULES):
        if family.name == LOOP_AGES:
            for sample in family.samples:
                loop = sample.labels["loop"]
                ages[loop] = max(ages.get(loop, 0.0), sample.value)
    return {loop: int(age) for loop, age in sorted(ages.items())}


def _models_of_demo(here: Here) -> list[str]:
    folder, active = here.settings.paths.models, here.choice.active()
    if active is None:
        return []
    found = {name: answering(active.document, folder, name) for name in aliases_of(active.document)}
    return sorted(name for name, version in found.items() if version and version.of_demo)


async def _is_demo(here: Here) -> bool | None:
    try:
        published = await read_states(here.replica.redis)
    except REDIS_AWAY:
        return None
    return published is not None and any(each.state == "demo" for each in published.states)


async def _platform(here: Here) -> PlatformHealth | None:
    return await read_health(here.replica.redis, here.clocks.wall())


def _problems(platform: PlatformHealth | None) -> list[str]:
    return [] if platform is None else platform.problems


async def _redis_answers(here: Here) -> bool:
    try:
        return bool(await here.replica.redis.ping())
    except REDIS_AWAY:
        return False
