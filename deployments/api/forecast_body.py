"""What a request for a forecast says: of which series, how far, and how sure."""

import re
from collections.abc import Sequence
from datetime import date, datetime
from math import inf
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from deployments.api.endpoint import WHOLE, FamilyBody
from deployments.api.timestamps import TimestampOrEpoch
from models.forecasting.local.cadence import FREQUENCY, Cadence

MOST_VALUES = 20_000
MOST_STEPS = 500
MOST_LEVELS = 8
LEVELS = (0.8, 0.95)
# Squares of it are numbers still.
LARGEST = 1e100

Value = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
Level = Annotated[float, Field(ge=0.5, le=0.999)]
Metric = Literal[
    "request_rate",
    "error_rate",
    "load",
    "infra",
    "queue_depth",
    "active_workers",
    "cpu",
    "memory",
    "p50_ms",
    "p95_ms",
    "p99_ms",
    "p999_ms",
]
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def _read_date(value: object) -> date:
    """Read a calendar day, and no number, which pydantic would take for seconds."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise ValueError("give a day such as 2026-12-25")
    return date.fromisoformat(value)


def _smallest(values: Sequence[float | None]) -> float:
    return min((each for each in values if each is not None), default=inf)


def _check_frequency(value: str) -> str:
    Cadence.parse(value)
    return value


Day = Annotated[
    date, BeforeValidator(_read_date), WithJsonSchema({"type": "string", "format": "date"})
]
Frequency = Annotated[str, Field(pattern=FREQUENCY), AfterValidator(_check_frequency)]


class ForecastBody(FamilyBody):
    """A metric of the entity, or values in order of time, whose next steps are asked for."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": ["values"], "properties": {"values": {"type": "array"}}},
                {"required": ["metric"], "properties": {"metric": {"type": "string"}}},
            ],
            "examples": [
                {
                    "values": [52, 61, 48, None, 55, 63, 50, 41, 57, 66, 52, 44],
                    "start": "2026-11-20T00:00:00Z",
                    "frequency": "6h",
                    "horizon": 4,
                },
                {"entity": "order-gateway", "metric": "p99_ms", "horizon": 60},
                {
                    "entity": "order-gateway",
                    "metric": "request_rate",
                    "frequency": "1h",
                    "horizon": 24,
                    "levels": [0.9],
                    "holidays": ["2026-12-25"],
                },
            ],
        }
    )

    metric: Metric | None = Field(None, description="A metric of the entity, as it was measured.")
    values: Annotated[list[Value | None], Field(min_length=1, max_length=MOST_VALUES)] | None = (
        Field(None, description="The series itself, oldest first; null where a value is missing.")
    )
    ts: Annotated[list[TimestampOrEpoch], Field(min_length=1, max_length=MOST_VALUES)] | None = (
        Field(None, description="When each of the values begins; what is left out was missing.")
    )
    start: TimestampOrEpoch | None = Field(
        None, description="When the first value begins; without it the answer has no times."
    )
    frequency: Frequency | None = Field(
        None,
        description="The time from one value to the next, from 15s to 1mo: a number and s, m, h, "
        "d, w or mo. With ts it is found by itself. Of a metric, steps of this length are formed "
        "as means; by default its own.",
    )
    horizon: Annotated[int, Field(ge=1, le=MOST_STEPS), WHOLE] = Field(
        24, description="How many steps to forecast."
    )
    levels: Annotated[list[Level], Field(min_length=1, max_length=MOST_LEVELS)] = Field(
        default=list(LEVELS), description="How often each interval shall hold."
    )
    holidays: Annotated[list[Day], Field(max_length=1000)] = Field(
        default=[],
        description="Days (UTC), past and to come, that differ from their like; for series of a "
        "day or less a value.",
    )
    least: Value | None = Field(
        None,
        description="What no value can be under, such as 0; no forecast or interval goes below. Of "
        "a metric it is 0. Without it, nought is the least where several values are nought and "
        "none is negative.",
    )
    model: Literal["combination", "seasonal_naive", "theta", "ets", "regression"] | None = Field(
        None,
        description="One method alone; by default an average of those that did best on the "
        "series itself.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.metric is None) == (self.values is None):
            raise ValueError("give either metric or values")
        if self.metric is not None and (self.ts is not None or self.start is not None):
            raise ValueError("ts and start are for values: a metric has times of its own")
        if self.metric is not None and self.least is not None:
            raise ValueError("least is for values: of a metric it is 0")
        if self.metric is not None and self.frequency == "1mo":
            raise ValueError("a metric is forecast in steps of a week at most: give 1w or less")
        return self

    @model_validator(mode="after")
    def _times_of_the_values(self) -> Self:
        if self.values is None:
            return self
        if self.least is not None and (smallest := _smallest(self.values)) < self.least:
            raise ValueError(f"least is {self.least:g}, and a value is {smallest:g}")
        if self.ts is None:
            if self.frequency is None:
                raise ValueError("values need ts, or a frequency such as 5m")
            return self
        if self.start is not None:
            raise ValueError("give either ts or start")
        if len(self.ts) != len(self.values):
            raise ValueError(f"ts has {len(self.ts)} times for {len(self.values)} values")
        if any(after <= before for before, after in zip(self.ts, self.ts[1:], strict=False)):
            raise ValueError("ts must rise: send each time once, oldest first")
        if len(self.ts) == 1 and self.frequency is None:
            raise ValueError("one time says nothing of the next: give a frequency too")
        return self
