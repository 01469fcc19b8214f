"""The feature store: which features there are, and their values."""

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Request
from pydantic import ValidationError
from starlette.responses import Response

from access.keys import Principal
from deployments.api.errors import InvalidError
from deployments.api.features import (
    ColumnsShown,
    DefinitionsShown,
    RowsShown,
    VectorShown,
    VectorsQuery,
)
from deployments.gateway.bodies import UNFIT, ClientGoneError, fields_of, read_body
from deployments.gateway.body_room import BodyPermit
from deployments.gateway.feature_reader import many, one, shown
from deployments.gateway.routes.access import Here, admitted
from features.sources.plain import LONGEST_NAME

router = APIRouter(tags=["features"], dependencies=[Depends(admitted)])

# A thousand names of two hundred characters, each of which JSON may write as six.
MOST_BYTES = 1_500_000
GONE = 499  # as web servers log a client that left
QUERY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/VectorsQuery"}}},
    }
}


@router.get("/features/definitions", summary="List the features: what each is, and its version")
async def definitions(here: Here) -> DefinitionsShown:
    catalogue = here.features.catalogue(here.active().document.features)
    return DefinitionsShown(features=shown(catalogue))


@router.get(
    "/features/vector",
    summary="Get the newest values of an entity's features",
    response_model=VectorShown,
)
async def vector(
    here: Here,
    entity: Annotated[str, Query(min_length=1, max_length=LONGEST_NAME)],
    features: Annotated[
        str,
        Query(max_length=10_000, description="Names with commas between; all where left out."),
    ] = "",
) -> Response:
    config = here.active().document.features
    names = features.split(",") if features else here.features.catalogue(config).by_name
    found = await here.features.read(config, [entity], names, here.clocks.wall())
    return _json(one(entity, found))


@router.post(
    "/features/vectors",
    summary="Get the newest values of many entities' features",
    openapi_extra=QUERY,
    response_model=RowsShown | ColumnsShown,
)
async def vectors(
    request: Request, here: Here, principal: Annotated[Principal, Depends(admitted)]
) -> Response:
    permit = BodyPermit(here.post_room, principal.key_id)
    try:
        raw = await read_body(request.receive, most_bytes=MOST_BYTES, large=permit.take)
    except ClientGoneError:
        return Response(status_code=GONE)
    finally:
        permit.give_back()
    query = _query(raw)
    config = here.active().document.features
    found = await here.features.read(config, query.entities, query.features, here.clocks.wall())
    return _json(many(query, found))


def _query(raw: bytes) -> VectorsQuery:
    try:
        return VectorsQuery.model_validate_json(raw)
    except ValidationError as refusal:
        raise InvalidError(UNFIT, fields_of(refusal.errors())) from refusal


def _json(content: dict[str, Any]) -> Response:
    """Write NaN as null, and arrays as lists."""
    written = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(written, media_type="application/json")
