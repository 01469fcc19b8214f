"""Streams: which there are, what is known of one, its alarms as they come, the deploy gate."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import StreamingResponse

from access.keys import Principal
from deployments.anomaly.operations import JudgeDeploy
from deployments.api.endpoint import ENTITY_PATTERN
from deployments.api.errors import NotFoundError, UnavailableError
from deployments.gateway.listeners import EventStream
from deployments.gateway.notices import Notices, resumed_after
from deployments.gateway.routes.access import Here, admitted
from deployments.gateway.routes.paging import Limit, Text, page_of
from deployments.gateway.timestamps import TimestampOrEpoch
from deployments.runtime.state.operations import Delete, Show
from settings.redis_connection import REDIS_AWAY

router = APIRouter(tags=["streams"], dependencies=[Depends(admitted)])

KINDS = ("regime", "anomaly")
StreamId = Annotated[str, Path(pattern=ENTITY_PATTERN)]


class StreamNames(BaseModel):
    streams: list[str]
    next: str | None = Field(description="Give it as `after` for the next page; null at the end.")


class GateBody(BaseModel):
    """Did this deploy change the regime."""

    model_config = ConfigDict(
        extra="forbid",
        allow_inf_nan=False,
        json_schema_extra={
            "examples": [{"stream": "order-gateway/p99", "deployed_at": "2026-11-20T08:00:00Z"}]
        },
    )

    stream: Annotated[str, Field(pattern=ENTITY_PATTERN)]
    deployed_at: TimestampOrEpoch = Field(
        description="When the deploy began: RFC 3339, or epoch seconds."
    )
    window_seconds: Annotated[float, Field(gt=0, le=86_400)] = Field(
        900.0, description="A change that begins within this time is attributed to the deploy."
    )
    prior: Annotated[float, Field(ge=1e-6, le=1 - 1e-6)] = Field(
        0.5, description="The prior probability that such a deploy changes the regime."
    )
    threshold: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.5, description="The probability from which on the gate closes."
    )


class GateShown(BaseModel):
    stream: str
    open: bool = Field(description="Whether the deploy may go on.")
    probability: float = Field(
        ge=0, le=1, description="The probability that the deploy changed the regime."
    )
    before: float = Field(
        ge=0,
        le=1,
        description="The probability that the regime had changed in the same time before the "
        "deploy.",
    )
    verdict: str = Field(description="One of changed, unchanged, undecided and changed before.")
    observations: int = Field(
        description="The number of observations since the deploy that can show a change."
    )


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


@router.post("/models/regime-detection/gate", summary="Report whether a deploy changed the regime")
async def gate(body: GateBody, here: Here) -> GateShown:
    at = body.deployed_at.timestamp()
    asked = JudgeDeploy(op="gate", at=at, window=body.window_seconds, prior=body.prior)
    found = await here.keyed.ask("regime", body.stream, asked)
    is_open = found["probability"] < body.threshold
    return GateShown(stream=body.stream, open=is_open, **found)
