"""Metrics of all replicas in one place."""

from typing import Any

from fastapi import APIRouter, Depends, Request
from prometheus_client import Metric
from starlette.responses import JSONResponse, Response

from deployments.api.errors import UnavailableError
from deployments.gateway.routes.access import Here, admitted
from observability.exposition import document, merge, text
from observability.metrics import GAUGE_RULES
from observability.snapshots import gather, readable
from settings.redis_connection import REDIS_AWAY

router = APIRouter(tags=["monitoring"], dependencies=[Depends(admitted)])

TEXT = "text/plain; version=0.0.4; charset=utf-8"
AS_TEXT: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/plain": {"schema": {"type": "string"}}},
        "description": "Prometheus text",
    }
}
EITHER: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "text/plain": {"schema": {"type": "string"}},
            "application/json": {"schema": {"type": "object"}},
        },
        "description": "Prometheus text, or JSON for clients that accept only JSON",
    }
}


@router.get("/metrics", summary="Get all metrics, merged over the replicas", responses=EITHER)
async def metrics(request: Request, here: Here) -> Response:
    merged = await _merged(here)
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse(document(merged))
    return Response(text(merged), media_type=TEXT)


@router.get("/metrics/prometheus", summary="Get all metrics, always as text", responses=AS_TEXT)
async def prometheus(here: Here) -> Response:
    return Response(text(await _merged(here)), media_type=TEXT)


async def _merged(here: Here) -> list[Metric]:
    try:
        snapshots = await gather(here.replica.redis)
    except REDIS_AWAY as away:
        raise UnavailableError(
            "Redis, which holds the other replicas' metrics, cannot be reached: try again"
        ) from away
    return merge(readable(snapshots), now=here.clocks.wall(), rules=GAUGE_RULES)
