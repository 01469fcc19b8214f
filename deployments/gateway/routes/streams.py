"""Streams: which there are, what is known of one, its alarms as they come."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Response
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from access.keys import Principal
from deployments.api.endpoint import ENTITY_PATTERN
from deployments.api.errors import NotFoundError, UnavailableError
from deployments.gateway.event_streams.listeners import EventStream
from deployments.gateway.event_streams.notices import Notices, resumed_after
from deployments.gateway.routes.access import Here, admitted
from deployments.gateway.routes.paging import Limit, Text, page_of
from deployments.runtime.state.operations import Delete, Show
from settings.redis_connection import REDIS_AWAY

router = APIRouter(tags=["streams"], dependencies=[Depends(admitted)])

KINDS = ("regime", "anomaly")
StreamId = Annotated[str, Path(pattern=ENTITY_PATTERN)]


class StreamNames(BaseModel):
    streams: list[str]
    next: str | None = Field(description="Give it as `after` for the next page; null at the end.")


@router.get("/streams", summary="List the names of the streams, in order, a page at a time")
async def streams(
    here: Here,
    limit: Limit = 100,
    after: Text = "",
    prefix: Text = "",
) -> StreamNames:
    names, following = await page_of(here, KINDS, limit, after, prefix)
    return StreamNames(streams=names, next=following)


@router.get(
    "/streams/{id:path}/events",
    summary="Follow a stream's alarms as they happen, as server-sent events",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Events named `alarm`, each with an id to resume after; the connection "
            "is ended now and then, and event sources come again by themselves.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    },
)
async def events(
    id: StreamId,  # noqa: A002 - the contract's name
    here: Here,
    principal: Annotated[Principal, Depends(admitted)],
    last_event_id: Annotated[str | None, Header(pattern=r"^\d{1,16}-\d{1,16}$")] = None,
) -> StreamingResponse:
    notices = Notices(here.replica.redis, here.clocks.monotonic)
    try:
        start = await resumed_after(here.replica.redis, last_event_id)
    except REDIS_AWAY as away:
        raise UnavailableError(
            "Redis, which holds the alarms, cannot be reached: try again"
        ) from away
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    here.listeners.admit(principal.key_id)
    lines = notices.of_stream(id, start)
    return EventStream(lines, here.listeners, principal.key_id, headers=headers)


@router.get("/streams/{id:path}", summary="Get what is known about a stream")
async def stream(
    id: StreamId,  # noqa: A002 - the contract's name
    here: Here,
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in KINDS:
        try:
            found |= await here.keyed.ask(kind, id, Show(op="show"))
        except NotFoundError:
            continue
    if not found:
        raise NotFoundError(f"There is no stream {id}: send its first observation to create it")
    return {"stream": id, **found}


@router.delete("/streams/{id:path}", summary="Delete a stream", status_code=204)
async def forget(
    id: StreamId,  # noqa: A002 - the contract's name
    here: Here,
) -> Response:
    forgotten = 0
    for kind in KINDS:
        try:
            await here.keyed.ask(kind, id, Delete(op="delete"))
        except NotFoundError:
            continue
        forgotten += 1
    if not forgotten:
        raise NotFoundError(f"There is no stream {id}")
    return Response(status_code=204)
