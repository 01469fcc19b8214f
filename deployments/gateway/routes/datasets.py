"""Training sets: asked for, looked after, fetched and deleted."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from pydantic import ValidationError
from starlette.responses import StreamingResponse

from access.keys import Principal
from deployments.api.datasets import DatasetQuery, DatasetShown, DatasetsShown
from deployments.api.errors import ConflictError, InvalidError, NotFoundError, QuotaError
from deployments.gateway.bodies.reader import UNFIT, fields_of, read_body
from deployments.gateway.bodies.room import BodyPermit
from deployments.gateway.routes.access import Here, admitted
from deployments.history.client import ask
from deployments.history.dataset_jobs import PIECE_BYTES, DatasetAsked
from deployments.history.questions import Questions
from features.datasets.kept import kept_features
from features.definitions.catalogue import Catalogue
from features.errors import BadSpineError, NotKeptError, UnknownFeaturesError

router = APIRouter(tags=["features"], dependencies=[Depends(admitted)])

MOST_BYTES = 16_000_000
FULL_SECONDS = 30
QUERY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/DatasetQuery"}}},
    }
}
Id = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]


@router.post(
    "/features/datasets",
    summary="Make a training set, in the background: what was served to each entity and moment",
    status_code=202,
    openapi_extra=QUERY,
)
async def begin(
    request: Request, here: Here, principal: Annotated[Principal, Depends(admitted)]
) -> DatasetShown:
    config = here.active().document.features
    catalogue = here.features.catalogue(config)
    with BodyPermit(here.post_room, principal.key_id) as permit:
        raw = await read_body(request.receive, most_bytes=MOST_BYTES, large=permit.take)
        # Two hundred thousand rows take longer to be checked than the loop can spare.
        spine, names, sample = await asyncio.to_thread(_checked, raw, catalogue)
    job = await ask(Questions.begin_dataset, DatasetAsked(spine, names, config, sample))
    if job is None:
        raise QuotaError(
            "As many training sets as may wait are waiting: try again later, or cancel one",
            retry_after_s=FULL_SECONDS,
        )
    return job


def _checked(raw: bytes, catalogue: Catalogue) -> tuple[Any, tuple[str, ...], int]:
    try:
        query = DatasetQuery.model_validate_json(raw)
        return query.spine(), kept_features(catalogue, query.features or ()), query.sample
    except ValidationError as refusal:
        raise InvalidError(UNFIT, fields_of(refusal.errors())) from refusal
    except UnknownFeaturesError as unknown:
        raise InvalidError("A feature does not exist", {"features": str(unknown)}) from unknown
    except NotKeptError as not_kept:
        raise InvalidError("A feature has no past", {"features": str(not_kept)}) from not_kept
    except BadSpineError as bad:
        raise InvalidError("The rows cannot be used", {bad.field: bad.reason}) from bad


@router.get("/features/datasets", summary="List the training sets of the last day")
async def datasets() -> DatasetsShown:
    return DatasetsShown(datasets=await ask(Questions.datasets))


@router.get("/features/datasets/{id}", summary="Get how far a training set is, and its certificate")
async def dataset(id: Id) -> DatasetShown:  # noqa: A002 - the contract's name
    return await _find(id)


@router.get(
    "/features/datasets/{id}/file",
    summary="Download a training set, as Parquet",
    response_class=StreamingResponse,
)
async def file(id: Id) -> StreamingResponse:  # noqa: A002 - the contract's name
    job = await _find(id)
    first = await ask(Questions.dataset_piece, id, 0)
    if first is None or job.certificate is None:
        raise ConflictError(f"The training set {id} is {job.state}: there is no file of it")
    size = job.certificate["file"]["bytes"]
    return StreamingResponse(
        _pieces(id, first),
        media_type="application/vnd.apache.parquet",
        headers={"content-length": str(size)},
    )


@router.delete(
    "/features/datasets/{id}", summary="Cancel a training set, or delete one that is done"
)
async def remove(id: Id) -> DatasetShown:  # noqa: A002 - the contract's name
    job = await ask(Questions.remove_dataset, id)
    if job is None:
        raise _missing(id)
    return job


async def _pieces(job_id: str, first: bytes) -> AsyncIterator[bytes]:
    offset, piece = 0, first
    while piece:
        yield piece
        offset += len(piece)
        if len(piece) < PIECE_BYTES:
            return
        more = await ask(Questions.dataset_piece, job_id, offset)
        piece = more or b""


async def _find(job_id: str) -> DatasetShown:
    for job in await ask(Questions.datasets):
        if job.id == job_id:
            return job
    raise _missing(job_id)


def _missing(job_id: str) -> NotFoundError:
    return NotFoundError(f"There is no training set {job_id}; they are kept for a day")
