"""The intake of logs: POST /telemetry/logs, where clients and shippers send JSON lines."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request

from access.keys import Principal
from config_store.sources import NAME
from deployments.api.telemetry import ComplaintShown, PostedLinesAnswer
from deployments.gateway.bodies.reader import read_body
from deployments.gateway.bodies.room import BodyPermit
from deployments.gateway.routes.access import Here, admitted
from deployments.gateway.telemetry.intake import check_key, find_source
from deployments.gateway.telemetry.posted_logs import (
    KIND,
    is_packed,
    queue,
    read_in_turns,
    refusal_of,
)
from features.sources.logs.posted import MOST_BYTES

router = APIRouter(tags=["telemetry"], dependencies=[Depends(admitted)])

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A JSON object in each line; it may be packed with gzip.",
        "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
    }
}


@router.post(
    "/telemetry/logs",
    summary="Post lines of logs, as JSON lines",
    status_code=202,
    openapi_extra=BODY,
)
async def post_logs(
    request: Request,
    here: Here,
    principal: Annotated[Principal, Depends(admitted)],
    source: Annotated[
        str | None,
        Query(
            pattern=NAME,
            description="The posted_logs source; it may be left out if it is the only one.",
        ),
    ] = None,
    idempotency_key: Annotated[
        str,
        Header(
            max_length=200,
            description="Tells bodies apart that are equal to the byte; the same body under the "
            "same key counts once.",
        ),
    ] = "",
) -> PostedLinesAnswer:
    packed = is_packed(request.headers)
    name, config = find_source(here.active().document.sources, KIND, source)
    check_key(name, config.keys, principal)
    with BodyPermit(here.post_room, principal.key_id) as permit:
        raw = await read_body(request.receive, most_bytes=MOST_BYTES, large=permit.take)
        ready = await read_in_turns(
            raw,
            config,
            here.lanes.turns,
            packed=packed,
            key=idempotency_key,
            now=here.clocks.wall(),
        )
        batch, taken = ready.batch, len(ready.batch.lines)
        if taken:
            await queue(here.replica.redis, name, batch)
    lines = here.replica.metrics.telemetry_posted_lines
    lines.labels(name, "taken").inc(taken)
    lines.labels(name, "refused").inc(ready.received - taken)
    if not taken:
        raise refusal_of(ready)
    return PostedLinesAnswer(
        source=name,
        lines=ready.received,
        accepted=taken,
        complaints=[ComplaintShown(**asdict(each)) for each in batch.complaints],
    )
