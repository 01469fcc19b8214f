"""The endpoint of rewards: POST /models/bandit/feedback."""

from pydantic import BaseModel, ConfigDict, Field

from deployments.api.bandits import LEVEL, Number
from deployments.api.endpoint import (
    DecisionId,
    FamilyBody,
    InferenceEndpoint,
    detail_answers,
    no_columns,
)
from deployments.optimization.experiments.operations import Reward
from deployments.runtime.batch import Detail
from deployments.runtime.state.tags import key_by_tag


class FeedbackBody(FamilyBody):
    """What a decision turned out to be worth."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"decision_id": "01939d1c-8a4e-7c11-9a52-3b1f0a6c2d7e", "reward": 0.83}]
        }
    )

    decision_id: DecisionId
    reward: Number


class Posterior(BaseModel):
    mean: float = Field(description="The expected reward of the arm in the decision's context.")
    lower: float
    upper: float
    weight: float = Field(ge=0, description="How many rewards the estimate is based on.")


class FeedbackData(BaseModel):
    experiment: str
    config: str
    posterior: Posterior | None = Field(
        description="Null where the fallback answers: then the reward was taken all the same."
    )


def ask_to_learn(body: FeedbackBody) -> Reward:
    return {"op": "reward", "decision": body.decision_id, "reward": body.reward}


def reward_taken(detail: Detail) -> Detail:
    """Keep which decision's reward was taken, and not what is believed of its arm."""
    return {"data": {**detail["data"], "posterior": None}}


def decided_in(body: FeedbackBody) -> str:
    return key_by_tag(body.decision_id)


FEEDBACK = InferenceEndpoint(
    name="bandit-feedback",
    path="/models/bandit/feedback",
    summary="Report the reward of a decision, once",
    body=FeedbackBody,
    data=FeedbackData,
    columns=no_columns,
    answers=detail_answers,
    interval_method="credible",
    interval_level=LEVEL,
    deployment="optimization",
    ask=ask_to_learn,
    key=decided_in,
    falls_back=False,
    taken=reward_taken,
)
