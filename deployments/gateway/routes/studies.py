"""Studies: which there are, what is known of one, and to forget it."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, Field

from deployments.api.endpoint import ENTITY_PATTERN
from deployments.gateway.routes.access import Here, admitted
from deployments.gateway.routes.paging import Limit, Text, page_of
from deployments.runtime.state.operations import Delete, Show

router = APIRouter(tags=["studies"], dependencies=[Depends(admitted)])

KIND, FAMILY = "study", "bayes-opt"
StudyId = Annotated[str, Path(pattern=ENTITY_PATTERN)]


class StudyNames(BaseModel):
    studies: list[str]
    next: str | None = Field(description="Give it as `after` for the next page; null at the end.")


@router.get("/studies", summary="List the names of the studies, in order, a page at a time")
async def studies(
    here: Here,
    limit: Limit = 100,
    after: Text = "",
    prefix: Text = "",
) -> StudyNames:
    names, following = await page_of(here, (KIND,), limit, after, prefix)
    return StudyNames(studies=names, next=following)


@router.get("/studies/{id:path}", summary="Get what is known about a study, with its latest trials")
async def study(
    id: StudyId,  # noqa: A002 - the contract's name
    here: Here,
) -> dict[str, Any]:
    return await here.keyed.ask(FAMILY, id, Show(op="show"))


@router.delete("/studies/{id:path}", summary="Delete a study", status_code=204)
async def forget(
    id: StudyId,  # noqa: A002 - the contract's name
    here: Here,
) -> Response:
    await here.keyed.ask(FAMILY, id, Delete(op="delete"))
    return Response(status_code=204)
