"""What a version would have changed: recorded decisions are played under it, in the background."""

from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from config_store.errors import WithdrawnVersionError
from config_store.store import Version
from deployments.api.errors import NotFoundError, QuotaError
from deployments.api.impact import ImpactAsked, ImpactShown
from deployments.gateway.context import GatewayContext
from deployments.gateway.routes.access import Here, admitted
from deployments.gateway.routes.config import VersionNumber
from deployments.gateway.routes.config_changes import By
from deployments.gateway.steering.words import refusals
from deployments.history.client import ask
from deployments.history.questions import Questions

router = APIRouter(tags=["configuration"], dependencies=[Depends(admitted)])

FULL_SECONDS = 30
HOUR = 3600.0


@router.post(
    "/config/versions/{v}/impact",
    summary="Replay recorded decisions under a version, in the background",
    status_code=202,
)
async def begin(
    v: VersionNumber,
    here: Here,
    by: By,
    hours: Annotated[
        float, Query(gt=0, le=24 * 31, description="Of the past, up to now; a day if left out.")
    ] = 24.0,
    rows: Annotated[
        int,
        Query(ge=1, le=200_000, description="Where there are more, a sample of so many is drawn."),
    ] = 20_000,
) -> ImpactShown:
    await _version(v, here)
    now = here.clocks.wall()
    asked = ImpactAsked(v, by.key_id, now - hours * HOUR, now, rows)
    job = await ask(Questions.begin_impact, asked)
    if job is None:
        raise QuotaError(
            "As many replays as may wait are waiting: try again later, or cancel one",
            retry_after_s=FULL_SECONDS,
        )
    return job


@router.get(
    "/config/versions/{v}/impact",
    summary="Get how far the latest replay under a version is, and what it found",
)
async def impact(v: VersionNumber, here: Here) -> ImpactShown:
    version = await _version(v, here)
    job = await ask(Questions.impact, v)
    # A Redis that lost its last second may have given the number to another version.
    if job is None or job.config_hash != version.config_hash:
        raise _missing(v)
    return job


@router.delete(
    "/config/versions/{v}/impact",
    summary="Cancel the replay under a version, or delete what one found",
)
async def cancel(v: VersionNumber, here: Here) -> ImpactShown:
    with refusals(), suppress(WithdrawnVersionError):  # also where it was given up meanwhile
        await here.configs.get(v)
    job = await ask(Questions.cancel_impact, v)
    if job is None:
        raise _missing(v)
    return job


async def _version(number: int, here: GatewayContext) -> Version:
    with refusals():
        return await here.configs.get(number)


def _missing(number: int) -> NotFoundError:
    return NotFoundError(
        f"No decisions were replayed under version {number}: POST /config/versions/{number}/impact "
        "begins it"
    )
