"""POST /features/datasets and the jobs that follow, as clients see them."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from deployments.jobs.job import State
from features.datasets.certificate import SAMPLE
from features.datasets.spine import Spine
from features.sources.plain import LONGEST_NAME

MOST_ROWS = 200_000
MOST_FEATURES = 1000
MOST_ENTITIES = 10_000
MOST_SAMPLE = 500

_Seconds = Annotated[int, Field(strict=True, ge=0, lt=2**32)]
_Entity = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]


class SpineRows(BaseModel):
    """The rows one by one: an entity and a time in epoch seconds each."""

    model_config = ConfigDict(extra="forbid")
    entity: list[_Entity] = Field(min_length=1, max_length=MOST_ROWS)
    time: list[Annotated[float, Field(strict=True, ge=0, lt=2**32)]] = Field(
        min_length=1, max_length=MOST_ROWS
    )


class SpineSteps(BaseModel):
    """Every whole step of [since, until) of these entities, in epoch seconds."""

    model_config = ConfigDict(extra="forbid")
    entities: list[_Entity] = Field(min_length=1, max_length=MOST_ENTITIES)
    since: _Seconds
    until: _Seconds
    every_seconds: Annotated[int, Field(strict=True, ge=1)]


class DatasetQuery(BaseModel):
    """Which features a training set has, and of which entities and moments."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "oneOf": [
                {
                    "required": [one],
                    "properties": {one: {"type": "object"}, other: {"type": "null"}},
                }
                for one, other in (("rows", "steps"), ("steps", "rows"))
            ],
            "examples": [
                {
                    "features": ["load", "p99_ms_p95_1h", "load_score"],
                    "rows": {"entity": ["order-gateway"], "time": [1773144000.0]},
                }
            ],
        },
    )
    features: list[Annotated[str, Field(min_length=1, max_length=64)]] = Field(
        default_factory=list, max_length=MOST_FEATURES, description="All where left out."
    )
    rows: SpineRows | None = None
    steps: SpineSteps | None = None
    sample: int = Field(
        SAMPLE,
        strict=True,
        ge=0,
        le=MOST_SAMPLE,
        description="How many rows are computed again by the live path, for the certificate.",
    )

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.rows is None) == (self.steps is None):
            raise ValueError("either `rows` or `steps` says which rows there are")
        return self

    def spine(self) -> Spine:
        """Give the rows; raises BadSpineError."""
        if self.rows is not None:
            return Spine.of(self.rows.entity, self.rows.time, MOST_ROWS)
        if self.steps is None:
            raise TypeError("a query has been checked to have one of both")
        of = self.steps
        return Spine.every(
            sorted(set(of.entities)), of.since, of.until, of.every_seconds, MOST_ROWS
        )


class DatasetShown(BaseModel):
    """A training set: how far it is, and its certificate when it is done."""

    id: str
    state: State
    asked_at: float = Field(description="Epoch seconds.")
    ended_at: float | None
    rows: int
    done_rows: int
    features: list[str]
    reason: str | None = Field(description="Why it failed.")
    certificate: dict[str, Any] | None = Field(
        description="Hashes of definitions, rows and file, counts, and what was replayed."
    )


class DatasetsShown(BaseModel):
    datasets: list[DatasetShown]
