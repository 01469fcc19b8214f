"""What a request to a study says: its space and goals, past trials, and what came of one."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from deployments.api.endpoint import ENTITY_PATTERN, FamilyBody
from deployments.optimization.studies import operations
from models.optimization.bayes.parameters import LARGEST_INTEGER
from models.optimization.bayes.study import MOST_CONSTRAINTS, MOST_GOALS, MOST_TRIALS

# A list is kept in the study's first event, and every suggestion looks through what is left of it.
MOST_LISTED = 2_000
MOST_SOUGHT = 1_000

Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.:/-]{0,63}$")]
Number = Annotated[float, Field(allow_inf_nan=False)]
# Larger ones a float cannot tell apart, and they would not go through the wire.
Whole = Annotated[int, Field(ge=-LARGEST_INTEGER, le=LARGEST_INTEGER)]
Value = bool | Whole | Number | Annotated[str, Field(max_length=128)]
Parameters = dict[Name, Value]
Goal = Literal["minimise", "maximise"]
Limits = Annotated[dict[Name, Number], Field(max_length=MOST_CONSTRAINTS)]
Values = Number | Annotated[list[Number], Field(min_length=1, max_length=MOST_GOALS)]
StudyName = Annotated[
    str,
    Field(pattern=ENTITY_PATTERN, description="The study's name; its first request creates it."),
]
_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True, strict=True)


class FloatParameter(BaseModel):
    """A number between two ends, on a logarithmic scale where asked."""

    model_config = _STRICT

    type: Literal["float"]
    low: Number
    high: Number
    log: bool = False


class IntParameter(BaseModel):
    """A whole number between two ends, both included."""

    model_config = _STRICT

    type: Literal["int"]
    low: Whole
    high: Whole
    log: bool = False


class CategoricalParameter(BaseModel):
    """One of some choices that have no order."""

    model_config = _STRICT

    type: Literal["categorical"]
    choices: Annotated[list[Value], Field(min_length=1, max_length=100)]


ParameterBody = Annotated[
    FloatParameter | IntParameter | CategoricalParameter, Field(discriminator="type")
]


class TrialOutcomeBody(BaseModel):
    """What came of a trial: its value, or that it failed."""

    model_config = _STRICT

    value: Values | None = Field(None, description="A list where the study has several goals.")
    failed: bool = False
    constraints: Limits = Field(
        default_factory=dict,
        description="The value of each constraint; a value of at most 0 meets it.",
    )

    @model_validator(mode="after")
    def _one_outcome(self) -> Self:
        if self.failed is (self.value is not None):
            raise ValueError("give either a value or failed, not both")
        if self.failed and self.constraints:
            raise ValueError("a failed trial has no constraints' values")
        return self

    def outcome(self) -> operations.TrialOutcome:
        """Give it as deployments/optimization/studies reads it."""
        value = self.value
        values = [] if value is None else value if isinstance(value, list) else [value]
        return {"values": values, "constraints": self.constraints, "failed": self.failed}


class PastTrial(TrialOutcomeBody):
    """A trial that was run elsewhere."""

    parameters: Parameters


class StudyDesign(BaseModel):
    """Finer settings of a study, kept from its first request on."""

    model_config = _STRICT

    seed: Annotated[int, Field(ge=0, lt=2**53)] = 0
    starts: Annotated[int, Field(ge=2, le=1000)] = Field(
        5, description="How many trials are spread evenly before a model suggests."
    )
    tolerance: Annotated[float, Field(ge=0, lt=1)] = Field(
        1e-3,
        description="The study has converged when three suggestions in a row expect to "
        "gain less than this share of the outcomes' standard deviation.",
    )
    candidates: Annotated[list[Parameters], Field(min_length=1, max_length=MOST_LISTED)] = Field(
        default_factory=list,
        description="Where given, only these are suggested, each once. Each names all "
        "parameters of the space, with values inside it; no two are the same.",
    )
    sought: Annotated[int, Field(ge=1, le=MOST_SOUGHT)] = Field(
        1,
        description="How many good trials are wanted: the improvement is measured over "
        "that many of the best.",
    )


class StudyBody(FamilyBody):
    """A request for the next trial."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "study": "matching-engine/tuning",
                    "space": {
                        "threads": {"type": "int", "low": 1, "high": 32},
                        "batch_us": {"type": "float", "low": 1, "high": 1000, "log": True},
                        "allocator": {"type": "categorical", "choices": ["glibc", "jemalloc"]},
                    },
                    "goal": "minimise",
                    "constraints": ["memory_over_limit"],
                },
                {"study": "matching-engine/tuning"},
                {
                    "study": "matching-engine/known-configurations",
                    "space": {
                        "threads": {"type": "int", "low": 1, "high": 32},
                        "allocator": {"type": "categorical", "choices": ["glibc", "jemalloc"]},
                    },
                    "design": {
                        "candidates": [
                            {"threads": 4, "allocator": "glibc"},
                            {"threads": 8, "allocator": "jemalloc"},
                            {"threads": 16, "allocator": "glibc"},
                            {"threads": 16, "allocator": "jemalloc"},
                            {"threads": 32, "allocator": "jemalloc"},
                        ],
                        "sought": 2,
                        "starts": 3,
                    },
                },
            ]
        }
    )

    study: StudyName
    space: Annotated[dict[Name, ParameterBody], Field(min_length=1, max_length=50)] | None = Field(
        None,
        description="Required with the first request; a later request with another space "
        "is refused.",
    )
    goal: Goal | Annotated[list[Goal], Field(min_length=1, max_length=MOST_GOALS)] | None = Field(
        None, description="minimise by default; a list for several goals."
    )
    constraints: Annotated[list[Name], Field(max_length=MOST_CONSTRAINTS)] | None = Field(
        None, description="Names of outcomes that must be 0 or less."
    )
    history: Annotated[list[PastTrial], Field(max_length=MOST_TRIALS)] | None = Field(
        None,
        description="Trials that were run elsewhere, in order. Rows that the study "
        "already has are skipped by their number, so the same list may grow "
        "from request to request.",
    )
    design: StudyDesign | None = None
    wait_ms: Annotated[float, Field(ge=0, le=5000)] | None = Field(
        None,
        description="How long to wait for a model's suggestion where none is ready; by "
        "default a few ms, and only while one is being made. After that a "
        "cheap suggestion is used, and meta.suggestion.source says so.",
    )


class TellBody(TrialOutcomeBody, FamilyBody):
    """What came of a trial of a study; told once."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "study": "matching-engine/tuning",
                    "trial_id": 0,
                    "value": 41.7,
                    "constraints": {"memory_over_limit": -0.2},
                },
                {"study": "matching-engine/tuning", "trial_id": 1, "failed": True},
            ]
        }
    )

    study: StudyName
    trial_id: Annotated[int, Field(ge=0, le=MOST_TRIALS)]
