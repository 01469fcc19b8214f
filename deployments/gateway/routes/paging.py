"""Keys a page at a time: what streams, experiments and studies list alike."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Query

from deployments.api.errors import UnavailableError
from deployments.gateway.context import GatewayContext
from deployments.runtime.state.log import KeyLog
from settings.redis_connection import REDIS_AWAY

Limit = Annotated[int, Query(ge=1, le=1000)]
Text = Annotated[str, Query(max_length=128)]


async def page_of(
    here: GatewayContext, kinds: Sequence[str], limit: int, after: str, prefix: str
) -> tuple[list[str], str | None]:
    """Give the names in order, and what to ask the next page after; None at the end."""
    names: set[str] = set()
    try:
        for kind in kinds:
            names |= set(await KeyLog(here.replica.redis, kind).names(after, limit, prefix))
    except REDIS_AWAY as away:
        raise UnavailableError(
            "Redis, which holds the names, cannot be reached: try again"
        ) from away
    page = sorted(names)[:limit]
    return page, page[-1] if len(page) == limit else None
