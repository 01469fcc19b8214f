"""The remote-write receiver: POST /api/v1/write, where a Prometheus sends its samples."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from access.keys import Principal
from config_store.sources import NAME
from deployments.api.errors import BadRequestError
from deployments.gateway.bodies.reader import read_body
from deployments.gateway.bodies.room import BodyPermit
from deployments.gateway.ingress.ingress import request_id_of
from deployments.gateway.routes.access import Here, admitted
from deployments.gateway.telemetry.intake import check_key, find_source
from deployments.gateway.telemetry.remote_write import KIND, MOST_BYTES, message_of
from features.sources.remote_write.codec import Written

router = APIRouter(tags=["telemetry"], dependencies=[Depends(admitted)])

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A remote write of protocol 1.0 or 2.0, packed with snappy.",
        "content": {"application/x-protobuf": {"schema": {"type": "string", "format": "binary"}}},
    }
}
REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The body cannot be read, or a part of it was not taken."},
    415: {
        "description": "The body is of another type, message or encoding than those that are read."
    },
}


@router.post(
    "/write",
    summary="Take the samples that a Prometheus writes",
    status_code=204,
    openapi_extra=BODY,
    responses=REFUSALS,
)
async def write(
    request: Request,
    here: Here,
    principal: Annotated[Principal, Depends(admitted)],
    source: Annotated[
        str | None,
        Query(
            pattern=NAME,
            description="The remote_write source; it may be left out if it is the only one.",
        ),
    ] = None,
) -> Response:
    message = message_of(request.headers)
    name, config = find_source(here.active().document.sources, KIND, source)
    check_key(name, config.keys, principal)
    with BodyPermit(here.remote_writes.room, principal.key_id) as permit:
        raw = await read_body(request.receive, most_bytes=MOST_BYTES, large=permit.take)
        written = await here.remote_writes.take(name, config, raw, message)
    metrics = here.replica.metrics
    metrics.remote_write_samples.labels(name, "taken").inc(len(written.times))
    metrics.remote_write_samples.labels(name, "refused").inc(written.refused)
    metrics.remote_write_unneeded_series.labels(name).inc(written.unneeded_series)
    return _answer(request, written)


def _answer(request: Request, written: Written) -> Response:
    """Tell what was taken; what nobody needs counts as taken, for it is not to be sent again."""
    headers = {
        "X-Prometheus-Remote-Write-Samples-Written": str(written.samples),
        "X-Prometheus-Remote-Write-Histograms-Written": str(written.histograms),
        "X-Prometheus-Remote-Write-Exemplars-Written": str(written.exemplars),
    }
    if not written.refused:
        return Response(status_code=204, headers=headers)
    refusal = BadRequestError(
        f"{written.refused} samples were not taken, the others were: {written.why_refused}"
    )
    body = refusal.body(request_id_of(request.scope))
    return Response(body, refusal.status, headers, media_type="application/json")
