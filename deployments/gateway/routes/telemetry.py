"""Telemetry that is posted, the sources that it comes from, and the entities that it is of."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request

from access.keys import Principal
from config_store.sources import NAME, SourceConfig
from deployments.api.errors import NotFoundError, UnavailableError
from deployments.api.telemetry import (
    ComplaintShown,
    EntityPage,
    EntityShown,
    OneEntity,
    PostedAnswer,
    SourcesShown,
    Stated,
)
from deployments.gateway.bodies.reader import read_body
from deployments.gateway.bodies.room import BodyPermit
from deployments.gateway.context import GatewayContext
from deployments.gateway.routes.access import Here, admitted
from deployments.gateway.routes.paging import Limit, Text
from deployments.gateway.telemetry.intake import check_key
from deployments.gateway.telemetry.posted_telemetry import check, push_source, queue, read_in_turns
from deployments.history import client as history
from deployments.history.questions import Questions
from features.sources.plain import LONGEST_NAME
from features.sources.posted import MOST_BYTES
from features.telemetry.source_states import STALE_SECONDS, SourceState, read_states
from settings.redis_connection import REDIS_AWAY

router = APIRouter(tags=["telemetry"], dependencies=[Depends(admitted)])

_REF = "#/components/schemas/"
POST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "oneOf": [
                        {"$ref": f"{_REF}{name}"}
                        for name in ("TelemetryRows", "TelemetryColumns", "TelemetryRow")
                    ]
                }
            },
            "text/csv": {
                "schema": {
                    "type": "string",
                    "description": "A header with the columns' names, and a line for each row.",
                }
            },
        },
    }
}


@router.post(
    "/telemetry",
    summary="Post telemetry, as rows, columns or CSV",
    status_code=202,
    openapi_extra=POST,
)
async def post_telemetry(
    request: Request,
    here: Here,
    principal: Annotated[Principal, Depends(admitted)],
    source: Annotated[
        str | None,
        Query(pattern=NAME, description="The push source; it may be left out if it is the only."),
    ] = None,
) -> PostedAnswer:
    name, config = push_source(here.active().document.sources, source)
    check_key(name, config.keys, principal)
    with BodyPermit(here.post_room, principal.key_id) as permit:
        raw = await read_body(request.receive, most_bytes=MOST_BYTES, large=permit.take)
        posted = await read_in_turns(raw, here.lanes.turns, csv=_is_csv(request))
        now = here.clocks.wall()
        ready = await check(posted, now, config.cadence_seconds)
        await queue(here.intake, name, ready)
    metrics = here.replica.metrics
    metrics.telemetry_posted_rows.labels(name).inc(ready.rows)
    return PostedAnswer(
        source=name,
        rows=posted.received,
        accepted=ready.rows,
        older=ready.older,
        note=ready.note(now),
        complaints=[ComplaintShown(**asdict(each)) for each in ready.complaints],
    )


def _is_csv(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0]
    return kind.strip().lower() == "text/csv"


@router.get("/sources", summary="List the sources of telemetry, and how each fares")
async def sources(here: Here) -> SourcesShown:
    try:
        published = await read_states(here.replica.redis)
    except REDIS_AWAY as away:
        raise UnavailableError(
            "Redis, which holds the sources' states, cannot be reached: try again"
        ) from away
    known = {each.name: each for each in published.states} if published else {}
    named = here.active().document.sources.named
    states = [_state(name, config, known.get(name)) for name, config in sorted(named.items())]
    states += [each for each in known.values() if each.kind == "demo"]
    return SourcesShown(
        sources=states,
        told=datetime.fromtimestamp(published.at, UTC) if published else None,
        stale=published is None or here.clocks.wall() - published.at > STALE_SECONDS,
    )


def _state(name: str, config: SourceConfig, published: SourceState | None) -> SourceState:
    """Give the state that was published, unless the configuration is newer."""
    if published is None or published.kind != config.kind:
        published = SourceState(
            name=name, kind=config.kind, state="waiting", why="It was not heard of yet"
        )
    if config.paused:
        return published.model_copy(update={"state": "paused", "why": ""})
    return published


@router.get("/entities", summary="List the entities that are measured, in order, a page at a time")
async def entities(
    limit: Limit = 100,
    after: Text = "",
    prefix: Text = "",
) -> EntityPage:
    found = await history.ask(Questions.entities)
    rest = [each for each in found if each["entity"] > after and each["entity"].startswith(prefix)]
    page = sorted(rest, key=lambda each: str(each["entity"]))[:limit]
    following = page[-1]["entity"] if len(rest) > limit else None
    return EntityPage(entities=[EntityShown(**each) for each in page], next=following)


@router.get(
    "/entities/{entity:path}",
    summary="Get what is measured of an entity, and what is stated of it",
)
async def entity(
    entity: Annotated[str, Path(min_length=1, max_length=LONGEST_NAME)], here: Here
) -> OneEntity:
    for each in await history.ask(Questions.entities):
        if each["entity"] == entity:
            return OneEntity(**each, stated=_stated(here, entity))
    raise NotFoundError(
        f"Nothing was measured of an entity {entity!r}: GET /entities lists those that are known"
    )


def _stated(here: GatewayContext, entity: str) -> Stated | None:
    facts = here.active().document.sources.entities.get(entity)
    if facts is None:
        return None
    return Stated(exchange=facts.exchange, time_zone=facts.time_zone, target_ms=facts.target_ms)
