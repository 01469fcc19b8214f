"""Studies: POST /models/bayes-opt and /models/bayes-opt/tell."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from deployments.api.endpoint import Bulk, InferenceEndpoint, detail_answers, no_columns
from deployments.api.study_bodies import StudyBody, TellBody
from deployments.optimization.studies import operations
from deployments.runtime.batch import Detail

LEVEL = 0.9
NOTHING_CLAIMED = "The outcome of a trial is not predicted"


class TrialShown(BaseModel):
    trial_id: int
    parameters: dict[str, bool | int | float | str]
    state: Literal["pending", "told", "failed"]
    value: float | list[float] | None
    constraints: dict[str, float]


class StudyProgress(BaseModel):
    trial_id: int
    trials: int
    pending: int = Field(description="Trials that were suggested and have no outcome yet.")
    candidates_left: int | None = Field(
        description="Candidates that have not been suggested yet; null where the study "
        "has no candidates."
    )
    best: TrialShown | None = Field(
        description="Null while no trial is feasible, and for studies with several goals."
    )
    front: list[TrialShown] | None = Field(
        description="For several goals: the trials that no other trial beats."
    )


class StudyData(StudyProgress):
    parameters: dict[str, bool | int | float | str]
    expected_improvement: float | None = Field(
        description="Null where no model made the suggestion."
    )
    acquisition: float | None
    converged: bool


class TellData(StudyProgress):
    state: Literal["told", "failed"]


def ask_for_trial(body: StudyBody) -> operations.AskTrial:
    found: operations.AskTrial = {"op": "ask", "design": _stated(body)}
    if body.wait_ms is not None:
        found["wait"] = body.wait_ms / 1000
    if body.history:
        found["history"] = [
            {"parameters": each.parameters, **each.outcome()} for each in body.history
        ]
    return found


def _stated(body: StudyBody) -> dict[str, Any]:
    """Give what the body says of the design, as models/optimization/bayes reads it."""
    stated: dict[str, Any] = {}
    if body.space is not None:
        stated["space"] = {name: each.model_dump() for name, each in body.space.items()}
    if body.goal is not None:
        stated["goals"] = body.goal if isinstance(body.goal, list) else [body.goal]
    if body.constraints is not None:
        stated["constraints"] = body.constraints
    if body.design is not None:
        stated |= body.design.model_dump(exclude_unset=True)
    return stated


def ask_to_learn(body: TellBody) -> operations.TellTrial:
    return {"op": "tell", "trial": body.trial_id, **body.outcome()}


def outcome_taken(detail: Detail) -> Detail:
    """Keep all that is said of an outcome: it tells of trials as clients reported them."""
    return detail


def study_of(body: StudyBody | TellBody) -> str:
    return body.study


STUDY = InferenceEndpoint(
    name="bayes-opt",
    path="/models/bayes-opt",
    summary="Suggest the next trial of a study",
    parameters="parameters",
    unjudged=("parameters",),
    no_interval=NOTHING_CLAIMED,
    body=StudyBody,
    data=StudyData,
    columns=no_columns,
    answers=detail_answers,
    interval_method="none",
    interval_level=LEVEL,
    deployment="optimization",
    ask=ask_for_trial,
    key=study_of,
    creates="studies",
    # Ten thousand past trials of four objects and lists, and as many names as a body has room for.
    bulk=Bulk(lists=50_000, strings=700_000),
    falls_back=False,
    asked_in_emergency=False,
    keeps_answers=True,
)

TELL = InferenceEndpoint(
    name="bayes-opt-tell",
    path="/models/bayes-opt/tell",
    summary="Report the outcome of a trial, once",
    unjudged=("best", "front"),
    no_interval=NOTHING_CLAIMED,
    body=TellBody,
    data=TellData,
    columns=no_columns,
    answers=detail_answers,
    interval_method="none",
    interval_level=LEVEL,
    deployment="optimization",
    ask=ask_to_learn,
    key=study_of,
    falls_back=False,
    taken=outcome_taken,
)
