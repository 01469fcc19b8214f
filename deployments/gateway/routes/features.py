"""The feature store: which features there are, and their values."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from access.keys import Principal
from deployments.api.features import ColumnsShown, DefinitionsShown, RowsShown, VectorShown
from deployments.gateway.features.definitions import describe_definitions
from deployments.gateway.routes.access import Here, admitted
from features.sources.plain import LONGEST_NAME

# HAProxy takes heads of 15 kB, and a character of a path may take three bytes.
MOST_CHARACTERS = 4_000
NAMES = r"^[A-Za-z0-9_, .:-]*$"

router = APIRouter(tags=["features"], dependencies=[Depends(admitted)])

QUERY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/VectorsQuery"}}},
    }
}


@router.get("/features/definitions", summary="List the features: what each is, and its version")
async def definitions(here: Here) -> DefinitionsShown:
    catalogue = here.features.catalogue(here.active().document.features)
    return DefinitionsShown(features=describe_definitions(catalogue, here.features.decided))


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
        Query(
            max_length=MOST_CHARACTERS,
            pattern=NAMES,
            description="Names with commas between; all where left out. More fit into the body of "
            "`POST /features/vectors`.",
        ),
    ] = "",
) -> Response:
    config = here.active().document.features
    names = features.split(",") if features else [*here.features.catalogue(config).by_name]
    written = await here.features.read_one(config, entity, names, here.clocks.wall())
    return Response(written, media_type="application/json")


@router.post(
    "/features/vectors",
    summary="Get the newest values of many entities' features",
    openapi_extra=QUERY,
    response_model=RowsShown | ColumnsShown,
)
async def vectors(
    request: Request, here: Here, principal: Annotated[Principal, Depends(admitted)]
) -> Response:
    written = await here.vectors.answer(request.receive, principal.key_id)
    return Response(written, media_type="application/json")
