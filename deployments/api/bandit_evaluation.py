"""The endpoint of policies on logged decisions: POST /models/bandit/evaluate."""

from pydantic import BaseModel, ConfigDict, Field

from deployments.api.bandits import Arm, ExperimentName, experiment_of
from deployments.api.endpoint import FamilyBody, InferenceEndpoint, detail_answers, no_columns
from deployments.optimization.experiments.operations import Freeze

JUDGED_LEVEL = 0.95


class EvaluateBody(FamilyBody):
    """A policy to be valued on an experiment's logged decisions."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"experiment": "router/batch-size", "policy": "thompson"},
                {"experiment": "router/batch-size", "policy": "128"},
            ]
        }
    )

    experiment: ExperimentName
    policy: Arm = Field(
        description="ucb, thompson, or an arm's name, for the policy that always chooses that arm."
    )


class EstimateShown(BaseModel):
    value: float
    lower: float
    upper: float


class Estimates(BaseModel):
    """Null where the log says too little, which `refusal` then puts in words."""

    ipw: EstimateShown | None
    snipw: EstimateShown | None
    dm: EstimateShown | None
    dr: EstimateShown | None


class Diagnostics(BaseModel):
    decisions: int
    usable: int = Field(description="The decisions in which every arm of the policy had a chance.")
    effective_sample_size: float
    largest_weight: float
    largest_share: float
    mean_weight: float


class Valued(BaseModel):
    policy: str
    estimates: Estimates
    refusal: str | None
    diagnostics: Diagnostics


class PromotionShown(BaseModel):
    promote: bool
    reason: str
    gain_lower_bound: float | None
    incumbent: Valued


class EvaluationData(Valued):
    experiment: str
    promotion: PromotionShown


def ask_to_judge(body: EvaluateBody) -> Freeze:
    return {"op": "freeze", "policy": body.policy}


EVALUATE = InferenceEndpoint(
    name="bandit-evaluate",
    path="/models/bandit/evaluate",
    summary="Evaluate a policy on the logged decisions, and say whether to promote it",
    unjudged=("estimates", "promotion"),
    no_interval="The log has too little data to evaluate the policy: `refusal` says what "
    "is missing",
    body=EvaluateBody,
    data=EvaluationData,
    columns=no_columns,
    answers=detail_answers,
    interval_method="confidence-sequence",
    interval_level=JUDGED_LEVEL,
    deployment="optimization",
    ask=ask_to_judge,
    key=experiment_of,
    falls_back=False,
    asked_in_emergency=False,
)
