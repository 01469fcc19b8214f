"""Decisions as the ledger keeps them, and the proof that they are there."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AfterValidator, BeforeValidator
from ray.exceptions import RayError

from deployments.errors import NotFoundError, UnavailableError
from deployments.gateway.routes.access import admitted
from deployments.history import history

AGAIN_SECONDS = 0.5

log = logging.getLogger(__name__)
router = APIRouter(tags=["decisions"], dependencies=[Depends(admitted)])

# Older than any decision, and as far back as the column store's dates go.
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC_3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}")


def _written_out(value: object) -> object:
    """Refuse what pydantic would take for seconds since 1970: the contract says a date and time."""
    if isinstance(value, str) and not _RFC_3339.match(value):
        raise ValueError("give a date and time such as 2026-11-20T08:00:00Z")
    return value


def _storable(moment: datetime) -> datetime:
    return max(moment if moment.tzinfo else moment.replace(tzinfo=UTC), EPOCH)


Moment = Annotated[datetime, BeforeValidator(_written_out), AfterValidator(_storable)]
DecisionId = Annotated[
    str, Path(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$")
]


async def asked(question: Callable[[], Awaitable[Any]]) -> Any:
    """Ask the history, and once more after a moment: it may just be starting again."""
    try:
        return await question()
    except RayError as away:
        log.warning("The history gave no answer, it is asked again: %s", away)
    await asyncio.sleep(AGAIN_SECONDS)
    try:
        return await question()
    except RayError as away:
        raise UnavailableError("The history gives no answer: try again") from away


@router.get("/decisions/{id}", summary="One decision, as it was written down")
async def decision(
    id: DecisionId,  # noqa: A002 - the contract's name
) -> dict[str, Any]:
    found: dict[str, Any] | None = await asked(lambda: history().decision.remote(id))
    if found is None:
        raise NotFoundError(f"There is no decision {id} in the ledger")
    return found


@router.get("/metrics/decisions", summary="The latest decisions")
async def decisions(
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    family: Annotated[str | None, Query(pattern=r"^[a-z_-]{1,32}$")] = None,
    since: Moment | None = None,
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = await asked(
        lambda: history().decisions.remote(limit, family, since)
    )
    return rows


@router.get("/ledger/proof/{id}", summary="The proof that a decision is in the ledger unchanged")
async def proof(
    id: DecisionId,  # noqa: A002 - the contract's name
) -> dict[str, Any]:
    found: dict[str, Any] | None = await asked(lambda: history().proof.remote(id))
    if found is None:
        raise NotFoundError(f"There is no decision {id} in the drained ledger; try in a second")
    return found
