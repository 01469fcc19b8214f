"""The endpoint of experiments: POST /models/bandit."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from deployments.api.endpoint import ENTITY_PATTERN, FamilyBody, InferenceEndpoint, no_columns
from deployments.optimization.experiments.operations import Decide, Policy
from deployments.runtime.batch import Columns, Detail

LEVEL = 0.9
MOST_ARMS = 64

MOST_FEATURES = 32
ARM_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:+=@ -]{0,63}$"

Number = Annotated[float, Field(ge=-1e12, le=1e12)]
FeatureName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}$")]
Arm = Annotated[str, Field(pattern=ARM_PATTERN)]
ExperimentName = Annotated[
    str,
    Field(
        pattern=ENTITY_PATTERN, description="The experiment's name; its first request creates it."
    ),
]
_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True, strict=True)


class FeatureRange(BaseModel):
    """From where to where a number of the context is scaled; beyond, it is cut off."""

    model_config = _STRICT

    low: Number = 0.0
    high: Number = 1.0


class BudgetBody(BaseModel):
    """How much worse than the baseline the experiment may be, over any window."""

    model_config = _STRICT

    share: Annotated[float, Field(ge=0, le=1)] = Field(
        0.05, description="A share of the baseline's reward."
    )
    reserve: Annotated[float, Field(ge=1, le=1e6)] = Field(
        1.0, description="The most that can be saved up, in multiples of the reward's range."
    )
    pricing: Literal["worst_case", "confidence"] = "worst_case"
    risk: Annotated[float, Field(gt=0, lt=1)] = 0.05


class DesignBody(BaseModel):
    """How the experiment is run; stated with its first request and then kept."""

    model_config = _STRICT

    family: Literal["linear", "gaussian", "bernoulli"] | None = Field(
        None, description="By default linear with a context, and gaussian without."
    )
    features: Annotated[dict[FeatureName, FeatureRange], Field(max_length=MOST_FEATURES)] | None = (
        Field(
            None,
            description="The context's numbers and their ranges; a range is 0 to 1 where left out.",
        )
    )
    reward_low: Number = Field(0.0, description="Rewards outside low and high are refused.")
    reward_high: Number = 1.0
    width: Annotated[float, Field(ge=0, le=100)] = Field(
        1.25, description="How many standard deviations ucb adds."
    )
    thompson_width: Annotated[float, Field(gt=0, le=100)] | None = Field(
        None,
        description="The factor of thompson's standard deviations; by default 0.6 with a "
        "context and 1 without.",
    )
    floor: Annotated[float, Field(ge=0, le=1)] = Field(
        0.05,
        description="The probability that is spread evenly over the arms, within the "
        "canary's share.",
    )
    discount: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0, description="The factor of a reward's weight after each later reward."
    )
    prior_weight: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    deadline_s: Annotated[float, Field(gt=0, le=1e9)] | None = Field(
        None, description="A reward that arrives later is refused."
    )
    missing_reward: Number | None = Field(
        None, description="The reward that counts where none arrived in time."
    )
    capacity: Annotated[int, Field(ge=100, le=16_384)] = Field(
        4_096, description="How many decisions are kept, for their rewards and for evaluation."
    )
    budget: BudgetBody | None = None
    baseline: Arm | None = Field(None, description="The incumbent; the first arm if left out.")

    def stated(self) -> dict[str, Any]:
        """Give what the body says, as models/optimization/bandits reads it."""
        found = {name: value for name, value in self.model_dump().items() if name in self._given()}
        if "features" in found:
            ranges = found["features"]
            found["features"] = [{"name": name, **each} for name, each in ranges.items()]
        return found

    def _given(self) -> set[str]:
        may_be_empty = ("family", "features", "thompson_width")
        empty = {name for name in may_be_empty if getattr(self, name) is None}
        return self.model_fields_set - empty


class BanditBody(FamilyBody):
    """A request for an arm. It chooses among the arms that it names, and new ones join."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "experiment": "router/batch-size",
                    "context": {"load": 0.7, "volatility": 0.2},
                    "arms": ["64", "128", "256"],
                    "policy": "thompson",
                },
                {
                    "experiment": "venue-7/retries",
                    "arms": ["two", "three"],
                    "policy": "ucb",
                    "design": {"family": "bernoulli", "budget": {"share": 0.02}},
                },
            ]
        }
    )

    experiment: ExperimentName
    context: Annotated[dict[FeatureName, Number], Field(max_length=MOST_FEATURES)] = Field(
        default_factory=dict,
        description="Every request of an experiment has the same names; the design gives "
        "their ranges, 0 to 1 by default.",
    )
    arms: Annotated[list[Arm], Field(min_length=1, max_length=MOST_ARMS)] | None = Field(
        None,
        description="The arms to choose from for this request, which must include the "
        "baseline. A new arm is added to the experiment; an arm that is not "
        "named is not chosen this time. Where left out: the configured arms, "
        "or else all arms.",
    )
    policy: Policy = "thompson"
    design: DesignBody | None = Field(
        None,
        description="Used with the experiment's first request; a later request with "
        "another design is refused (409).",
    )

    @model_validator(mode="after")
    def _arms_differ(self) -> Self:
        if self.arms and len(set(self.arms)) < len(self.arms):
            raise ValueError("arms: the same arm is named twice")
        return self


class BanditData(BaseModel):
    config: str | None = Field(
        description="The chosen arm. Where the fallback answers, it is the first arm "
        "that the request names, or null where it names none: then keep what "
        "runs now. A fallback's decision accepts no feedback."
    )
    canary_percentage: float = Field(ge=0, le=100)
    propensity: float = Field(gt=0, le=1)
    expected_reward: float
    exploring: bool = Field(description="Whether another arm has the higher expected reward.")


def ask_for_arm(body: BanditBody) -> Decide:
    found: Decide = {"op": "decide", "context": body.context, "policy": body.policy}
    if body.arms is not None:
        found["arms"] = body.arms
    if body.design is not None:
        found["design"] = body.design.stated()
    return found


def incumbent(body: BanditBody) -> Detail:
    """Keep to the incumbent, as far as the request tells it."""
    stated = body.design.baseline if body.design else None
    config = stated or (body.arms[0] if body.arms else None)
    return {"data": {"config": config, "exploring": False}}


def arm_answers(columns: Columns, details: Sequence[Detail | None]) -> list[dict[str, Any]]:
    names = ("canary_percentage", "propensity", "expected_reward")
    rows = zip(*(columns[name].tolist() for name in names), details, strict=True)
    return [
        {
            "config": said["data"]["config"],
            "canary_percentage": canary,
            "propensity": propensity,
            "expected_reward": expected,
            "exploring": said["data"]["exploring"],
        }
        for canary, propensity, expected, said in rows
        if said is not None
    ]


def experiment_of(body: Any) -> str:
    """Give the experiment that a body names."""
    name: str = body.experiment
    return name


BANDIT = InferenceEndpoint(
    name="bandit",
    path="/models/bandit",
    summary="Choose an arm, within the canary's share, and report the probability of that choice",
    takes_feedback=True,
    body=BanditBody,
    data=BanditData,
    columns=no_columns,
    answers=arm_answers,
    fallback_detail=incumbent,
    interval_method="credible",
    interval_level=LEVEL,
    deployment="optimization",
    ask=ask_for_arm,
    key=experiment_of,
    creates="experiments",
    asked_in_emergency=False,
    keeps_answers=True,
)
