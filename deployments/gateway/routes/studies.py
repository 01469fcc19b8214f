"""Studies: which there are, what is known of one, and to forget it."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, Field
from redis.exceptions import RedisError

from deployments.errors import UnavailableError
from deployments.families.family import ENTITY_PATTERN
from deployments.gateway.routes.access import Here, admitted
from deployments.keyed.log import KeyLog

router = APIRouter(tags=["studies"], dependencies=[Depends(admitted)])

KIND, FAMILY = "study", "bayes-opt"
StudyId = Annotated[str, Path(pattern=ENTITY_PATTERN)]


class StudyNames(BaseModel):
    studies: list[str]
    next: str | None = Field(description="Give it as `after` for the next page; null at the end.")


@router.get("/studies", summary="Name the studies, in order, a page at a time")
async def studies(
    here: Here,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[str, Query(max_length=128)] = "",
    prefix: Annotated[str, Query(max_length=128)] = "",
) -> StudyNames:
    try:
        names = await KeyLog(here.replica.redis, KIND).names(after, limit, prefix)
    except (RedisError, OSError) as away:
        raise UnavailableError("Redis is away, and with it the studies: try again") from away
    return StudyNames(studies=names, next=names[-1] if len(names) == limit else None)


@router.get("/studies/{id:path}", summary="What is known of a study, with its latest trials")
async def study(
    id: StudyId,  # noqa: A002 - the contract's name
    here: Here,
) -> dict[str, Any]:
    return await here.keyed.ask(FAMILY, id, {"op": "show"})


@router.delete("/studies/{id:path}", summary="Forget a study", status_code=204)
async def forget(
    id: StudyId,  # noqa: A002 - the contract's name
    here: Here,
) -> Response:
    await here.keyed.ask(FAMILY, id, {"op": "delete"})
    return Response(status_code=204)
