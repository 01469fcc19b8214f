"""What an operator does with one source: check it, and have its past fetched anew."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path

from config_store.sources import NAME, SourceConfig
from deployments.api.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from deployments.api.sources import BackfillBody, CheckShown
from deployments.gateway.context import GatewayContext
from deployments.gateway.routes.access import Here, admitted
from deployments.history.client import ask, ask_within
from deployments.history.questions import Questions
from deployments.history.source_questions import BackfillAsked
from features.telemetry.source_states import Backfill

router = APIRouter(tags=["telemetry"], dependencies=[Depends(admitted)])

# The history gives up on a source a little earlier.
CHECK_SECONDS = 25.0
Name = Annotated[str, Path(pattern=NAME)]

NO_PAST = {
    "push": "clients post to it. Post the rows of that time again",
    "remote_write": "a Prometheus writes to it. Connect that Prometheus with `ballast connect "
    "prometheus` to have its past",
    "posted_logs": "clients post lines to it, and those of a time that is over count no more",
    "logs": "its lines are read once, as they are written: files that were rotated away are gone, "
    "and what is left would replace whole numbers by parts of them. After a correction of its "
    "rules what is there is read anew by itself",
    "kafka": "its messages are read once, in their order: earlier ones would replace what later "
    "ones corrected. Connect the topic under another name, with --history-days, to read it from "
    "the beginning",
}


@router.post("/sources/{name}/check", summary="Ask a source for its newest intervals, once")
async def check(name: Name, here: Here) -> CheckShown:
    config = _source(here, name)
    if config.kind in {"push", "posted_logs"}:
        raise ConflictError(
            f"The source {name} cannot be asked: clients post to it. GET /sources says what came"
        )
    found = await ask_within(CHECK_SECONDS, Questions.check_source, name)
    if found is None:
        raise _unheard(name)
    return CheckShown.model_validate(asdict(found))


@router.post(
    "/sources/{name}/backfill",
    summary="Fetch a stretch of a source's past anew, in the background",
    status_code=202,
)
async def begin(
    name: Name,
    here: Here,
    body: Annotated[BackfillBody, Body(default_factory=BackfillBody)],
) -> Backfill:
    config = _source(here, name)
    if (why := NO_PAST.get(config.kind)) is not None:
        raise ConflictError(f"The past of the source {name} cannot be fetched: {why}")
    _check_times(body, here.clocks.wall())
    begun = await ask(
        Questions.begin_backfill, BackfillAsked(name, _second(body.since), _second(body.until))
    )
    if begun.backfill is None:
        raise ConflictError(begun.refusal)
    return begun.backfill


@router.get("/sources/{name}/backfill", summary="Get how far the last backfill of a source is")
async def backfill(name: Name, here: Here) -> Backfill:
    _source(here, name)
    return _required(name, await ask(Questions.backfill, name))


@router.delete("/sources/{name}/backfill", summary="Cancel a backfill; what it stored stays")
async def cancel(name: Name, here: Here) -> Backfill:
    _source(here, name)
    return _required(name, await ask(Questions.cancel_backfill, name))


def _source(here: GatewayContext, name: str) -> SourceConfig:
    config = here.active().document.sources.named.get(name)
    if config is None:
        raise NotFoundError(f"There is no source {name!r}: GET /sources lists those that there are")
    return config


def _required(name: str, found: Backfill | None) -> Backfill:
    if found is None:
        raise NotFoundError(f"No past of the source {name} was fetched anew")
    return found


def _unheard(name: str) -> UnavailableError:
    return UnavailableError(f"The history did not hear of the source {name} yet: try again")


def _check_times(asked: BackfillBody, now: float) -> None:
    since, until = _second(asked.since), _second(asked.until)
    if since is not None and since >= min(now, now if until is None else until):
        raise InvalidError("Nothing lies in between", {"from": "it is not before `to` and now"})


def _second(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())
