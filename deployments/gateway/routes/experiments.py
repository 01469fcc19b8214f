"""Experiments: which there are, what is known of one, and what an operator does with its arms."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, Field

from deployments.api.bandits import ARM_PATTERN
from deployments.api.endpoint import ENTITY_PATTERN
from deployments.gateway.routes.access import Here, admitted
from deployments.gateway.routes.paging import Limit, Text, page_of
from deployments.optimization.experiments.operations import ChangeArm
from deployments.runtime.state.operations import Delete, Show

router = APIRouter(tags=["experiments"], dependencies=[Depends(admitted)])

KIND, FAMILY = "experiment", "bandit"
ExperimentId = Annotated[str, Path(pattern=ENTITY_PATTERN)]
ArmName = Annotated[str, Path(pattern=ARM_PATTERN)]


class ExperimentNames(BaseModel):
    experiments: list[str]
    next: str | None = Field(description="Give it as `after` for the next page; null at the end.")


@router.get("/experiments", summary="List the names of the experiments, in order, a page at a time")
async def experiments(
    here: Here,
    limit: Limit = 100,
    after: Text = "",
    prefix: Text = "",
) -> ExperimentNames:
    names, following = await page_of(here, (KIND,), limit, after, prefix)
    return ExperimentNames(experiments=names, next=following)


@router.put("/experiments/{id:path}/arms/{arm}", summary="Add an arm, or bring a retired one back")
async def open_arm(
    id: ExperimentId,  # noqa: A002 - the contract's name
    arm: ArmName,
    here: Here,
) -> dict[str, Any]:
    return await here.keyed.ask(FAMILY, id, ChangeArm(op="arm", what="open", arm=arm))


@router.delete(
    "/experiments/{id:path}/arms/{arm}", summary="Retire an arm: it is no longer chosen, but kept"
)
async def retire_arm(
    id: ExperimentId,  # noqa: A002 - the contract's name
    arm: ArmName,
    here: Here,
) -> dict[str, Any]:
    return await here.keyed.ask(FAMILY, id, ChangeArm(op="arm", what="retire", arm=arm))


@router.put(
    "/experiments/{id:path}/baseline/{arm}", summary="Make an arm the incumbent from now on"
)
async def move_baseline(
    id: ExperimentId,  # noqa: A002 - the contract's name
    arm: ArmName,
    here: Here,
) -> dict[str, Any]:
    return await here.keyed.ask(FAMILY, id, ChangeArm(op="arm", what="baseline", arm=arm))


@router.get("/experiments/{id:path}", summary="Get what is known about an experiment and its arms")
async def experiment(
    id: ExperimentId,  # noqa: A002 - the contract's name
    here: Here,
) -> dict[str, Any]:
    return await here.keyed.ask(FAMILY, id, Show(op="show"))


@router.delete("/experiments/{id:path}", summary="Delete an experiment", status_code=204)
async def forget(
    id: ExperimentId,  # noqa: A002 - the contract's name
    here: Here,
) -> Response:
    await here.keyed.ask(FAMILY, id, Delete(op="delete"))
    return Response(status_code=204)
