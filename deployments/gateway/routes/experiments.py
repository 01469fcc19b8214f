"""Experiments: which there are, what is known of one, and what an operator does with its arms."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, Field
from redis.exceptions import RedisError

from deployments.errors import UnavailableError
from deployments.families.bandits import ARM_PATTERN
from deployments.families.family import ENTITY_PATTERN
from deployments.gateway.routes.access import Here, admitted
from deployments.keyed.log import KeyLog

router = APIRouter(tags=["experiments"], dependencies=[Depends(admitted)])

KIND, FAMILY = "experiment", "bandit"
ExperimentId = Annotated[str, Path(pattern=ENTITY_PATTERN)]
ArmName = Annotated[str, Path(pattern=ARM_PATTERN)]


class ExperimentNames(BaseModel):
    experiments: list[str]
    next: str | None = Field(description="Give it as `after` for the next page; null at the end.")


@router.get("/experiments", summary="Name the experiments, in order, a page at a time")
async def experiments(
    here: Here,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[str, Query(max_length=128)] = "",
    prefix: Annotated[str, Query(max_length=128)] = "",
) -> ExperimentNames:
    try:
        names = await KeyLog(here.replica.redis, KIND).names(after, limit, prefix)
    except (RedisError, OSError) as away:
        raise UnavailableError("Redis is away, and with it the experiments: try again") from away
    return ExperimentNames(experiments=names, next=names[-1] if len(names) == limit else None)


@router.put("/experiments/{id:path}/arms/{arm}", summary="Add an arm, or bring a retired one back")
async def open_arm(
    id: ExperimentId,  # noqa: A002 - the contract's name
    arm: ArmName,
    here: Here,
) -> dict[str, Any]:
    return await here.keyed.ask(FAMILY, id, {"op": "arm", "what": "open", "arm": arm})


@router.delete(
    "/experiments/{id:path}/arms/{arm}", summary="Retire an arm: it is chosen no more, and kept"
)
async def retire_arm(
    id: ExperimentId,  # noqa: A002 - the contract's name
    arm: ArmName,
    here: Here,
) -> dict[str, Any]:
    return await here.keyed.ask(FAMILY, id, {"op": "arm", "what": "retire", "arm": arm})


@router.put(
    "/experiments/{id:path}/baseline/{arm}", summary="Make an arm the incumbent from now on"
)
async def move_baseline(
    id: ExperimentId,  # noqa: A002 - the contract's name
    arm: ArmName,
    here: Here,
) -> dict[str, Any]:
    return await here.keyed.ask(FAMILY, id, {"op": "arm", "what": "baseline", "arm": arm})


@router.get("/experiments/{id:path}", summary="What is known of an experiment and of its arms")
async def experiment(
    id: ExperimentId,  # noqa: A002 - the contract's name
    here: Here,
) -> dict[str, Any]:
    return await here.keyed.ask(FAMILY, id, {"op": "show"})


@router.delete("/experiments/{id:path}", summary="Forget an experiment", status_code=204)
async def forget(
    id: ExperimentId,  # noqa: A002 - the contract's name
    here: Here,
) -> Response:
    await here.keyed.ask(FAMILY, id, {"op": "delete"})
    return Response(status_code=204)
