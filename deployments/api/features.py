"""GET /features/definitions and the vectors of features, as clients see them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from features.definitions.definition import Kind
from features.functions.evaluated import FunctionHealth
from features.sources.plain import LONGEST_NAME
from features.telemetry.source_states import HeldBack

MOST_ENTITIES = 1000
MOST_FEATURES = 500
# A thousand entities with fifty features: more takes the gateway's loop from others for too long.
MOST_VALUES = 50_000

_Name = Annotated[str, Field(min_length=1, max_length=64)]


class VectorsQuery(BaseModel):
    """Which features of which entities are wanted."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "entities": ["order-gateway", "settlement"],
                    "features": ["load", "p99_ms_p95_1h", "minutes_to_close", "load_score"],
                }
            ]
        },
    )
    entities: list[Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]] = Field(
        min_length=1, max_length=MOST_ENTITIES
    )
    features: list[_Name] = Field(
        min_length=1,
        max_length=MOST_FEATURES,
        description=f"Each once; entities times features at most {MOST_VALUES}.",
    )
    answer: Literal["rows", "columns"] = Field(
        "rows", description="A row an entity, or a column a feature."
    )


class FeatureShown(BaseModel):
    """One feature's definition."""

    name: str
    kind: Kind
    type: Literal["number", "truth"] = Field(description="The value of a truth is 1 or 0.")
    unit: str
    low: float | None = Field(description="What is below it is not believed; null: anything is.")
    high: float | None
    ttl_seconds: float = Field(
        description="So old its event time may be before it is stale, where telemetry comes by the "
        "minute; as many times longer as it comes less often."
    )
    version: str = Field(description="Changes with whatever decides the value.")
    source: list[str] = Field(
        description="The columns of telemetry, or the features, that it is computed of."
    )
    how: str
    owner: str
    description: str
    held_back: HeldBack | None = Field(
        None,
        description="A changed definition that is configured and not in force, and why: this one "
        "goes on.",
    )
    health: FunctionHealth | None = Field(
        None, description="How its function fares; null where it has none, or was not called yet."
    )


class DefinitionsShown(BaseModel):
    features: list[FeatureShown]


class ValueShown(BaseModel):
    """One feature's value."""

    value: float | None = Field(description="Null where there is none.")
    event_time: float | None = Field(description="What moment it speaks of, epoch seconds.")
    known_time: float | None = Field(description="When the platform knew it, epoch seconds.")
    stale: bool
    why: Literal["missing", "out of bounds"] | None = Field(description="Why there is no value.")


class VectorShown(BaseModel):
    entity: str
    features: dict[str, ValueShown]


class RowShown(BaseModel):
    """One entity's values, in the order of the features that were asked for."""

    entity: str
    values: list[float | None]
    event_time: list[float | None]
    known_time: list[float | None]
    stale: list[bool]


class ColumnShown(BaseModel):
    """One feature's values, in the order of the entities that were asked for."""

    values: list[float | None]
    event_time: list[float | None]
    known_time: list[float | None]
    stale: list[bool]


class RowsShown(BaseModel):
    features: list[str]
    rows: list[RowShown]


class ColumnsShown(BaseModel):
    entities: list[str]
    columns: dict[str, ColumnShown]


class InputImportance(BaseModel):
    """What the loss of a model grows by where one of its inputs is shuffled."""

    input: str
    features: list[str] = Field(description="The features of which the input is made.")
    importance: float = Field(
        description="As a share of the loss; about 0 where the input does not matter. Inputs that "
        "say the same share theirs."
    )
    standard_error: float | None = Field(
        description="Over the held-out hours; null where there were fewer than two."
    )


class ModelImportance(BaseModel):
    """One model that answers now."""

    model: str
    version: str
    of_demo: bool = Field(description="Whether it learned from made-up telemetry.")
    loss: str
    inputs: list[InputImportance] = Field(
        description="The most important first; empty where the version was trained by a release "
        "that did not judge them."
    )


class ImportanceShown(BaseModel):
    models: list[ModelImportance]
