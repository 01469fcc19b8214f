"""The timeline: everything that changed, newest first."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from deployments.api.timestamps import Timestamp
from deployments.gateway.routes.access import admitted
from deployments.gateway.routes.paging import Limit
from deployments.history.client import ask
from deployments.history.questions import Questions
from observability.timeline.event import Detail
from observability.timeline.kinds import Kind
from observability.timeline.store import CURSOR

router = APIRouter(tags=["timeline"], dependencies=[Depends(admitted)])


class TimelineEvent(BaseModel):
    id: str = Field(description="A hash of the content: the same event has the same one.")
    time: datetime = Field(description="When it happened.")
    known: datetime = Field(description="When the platform's archive knew of it.")
    kind: str = Field(description="As in the parameter `kind`; later releases know more kinds.")
    entity: str = Field(description="Of which entity; empty where it is of none alone.")
    source: str = Field(description="Which source of telemetry told; empty where none did.")
    summary: str = Field(description="The event in a sentence.")
    details: dict[str, Detail]


class TimelinePage(BaseModel):
    events: list[TimelineEvent]
    next: str | None = Field(description="Give it as `before` for the next page; null at the end.")


@router.get("/timeline", summary="List what changed, newest first, a page at a time")
async def timeline(
    since: Annotated[Timestamp | None, Query(description="From this time on.")] = None,
    until: Annotated[Timestamp | None, Query(description="Before this time.")] = None,
    kind: Annotated[list[Kind], Query(description="Of these kinds only; may be repeated.")] = [],  # noqa: B006 - FastAPI copies it
    entity: Annotated[str | None, Query(max_length=200)] = None,
    limit: Limit = 100,
    before: Annotated[
        str | None, Query(pattern=CURSOR, description="The `next` of the page in front.")
    ] = None,
) -> TimelinePage:
    found = await ask(
        Questions.timeline,
        limit,
        since=since,
        until=until,
        kinds=kind,
        entity=entity,
        before=before,
    )
    return TimelinePage(events=[TimelineEvent(**each) for each in found.events], next=found.next)
