"""Forecasts of any series: POST /models/forecast."""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from math import inf
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from config_store.document import ConfigDocument
from deployments.api.endpoint import WHOLE, FamilyBody, InferenceEndpoint, Nested
from deployments.forecasting.series.operations import ForecastSeries
from deployments.gateway.timestamps import TimestampOrEpoch
from deployments.runtime.batch import Columns, Detail, FloatArray
from models.forecasting.local.cadence import FREQUENCY, Cadence
from models.forecasting.local.repeated import repeat_last
from safety.open_ends import FARTHEST, claims_above, claims_below

MOST_VALUES = 20_000
MOST_STEPS = 500
MOST_LEVELS = 8
LEVELS = (0.8, 0.95)
# What is known of the series without a model.
LAST = ("last", "last_lower", "last_upper")
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


class IntervalShown(BaseModel):
    level: float
    lower: float | None
    upper: float | None


class StepShown(BaseModel):
    ts: str | None = Field(description="When the step begins; null where no start was given.")
    value: float
    intervals: list[IntervalShown] = Field(
        description="By level; empty where nothing is claimed, and interval_reason says why."
    )


class CoverageShown(BaseModel):
    level: float
    coverage: float = Field(description="Share of past values that their intervals held.")


class ForecastData(BaseModel):
    forecast: list[StepShown]
    model: str = Field(description="The method that answered.")
    weights: dict[str, float] = Field(description="By method: its share of the answer.")
    seasons: list[int] = Field(description="The seasons that were found, in steps.")
    coverage_so_far: list[CoverageShown] | None = Field(
        description="How often intervals that were formed in the same way held in this series' "
        "own past: each as wide as what came before it tells, around methods that were weighed "
        "on all of it, so that for a short series it is too high. Null where it is too short."
    )
    coverage_points: int = Field(description="How many past values that was counted on.")
    interval_reason: str | None = Field(description="Why there are no intervals, where none are.")
    coverage_reason: str | None = Field(description="Why coverage_so_far is null, where it is.")
    notes: list[str]


def columns(bodies: Sequence[ForecastBody], _: ConfigDocument) -> Columns:
    """Give the last value and its own errors: from this a fallback answers."""
    found = np.array([_repeated(body) for body in bodies])
    return dict(zip(LAST, found.T, strict=True))


def _repeated(body: ForecastBody) -> tuple[float, float, float]:
    if body.values is None:
        return np.nan, np.nan, np.nan
    point, spreads = repeat_last(_floats(body.values), 1, (max(body.levels),))
    spread = float(spreads[0, 0])
    return (point, np.nan, np.nan) if np.isnan(spread) else (point, point - spread, point + spread)


def _floats(values: Sequence[float | None]) -> FloatArray:
    return np.array(values, dtype=np.float64)


def ask(body: ForecastBody) -> ForecastSeries:
    return {
        "metric": body.metric,
        "values": body.values,
        "ts": None if body.ts is None else [each.timestamp() for each in body.ts],
        "start": None if body.start is None else body.start.timestamp(),
        "frequency": body.frequency,
        "horizon": body.horizon,
        "levels": sorted(set(body.levels)),
        "holidays": sorted({each.isoformat() for each in body.holidays}),
        "model": body.model or "combination",
        "least": body.least,
    }


def fallback_detail(body: ForecastBody) -> Detail:
    """Repeat the last value over all steps, as wide as its own errors."""
    levels = sorted(set(body.levels))
    detail: Detail = {"interval": {"level": levels[-1]}}
    if body.values is None:
        return detail
    point, spreads = repeat_last(_floats(body.values), body.horizon, levels)
    if np.isnan(point):
        return detail
    claimed = not np.isnan(spreads).any()
    ends = spreads if claimed else np.full(spreads.shape, FARTHEST)
    middle = point if claimed else 0.0
    detail["data"] = {
        "ts": None,
        "value": [point] * body.horizon,
        "lower": (middle - ends[-1]).tolist(),
        "upper": (middle + ends[-1]).tolist(),
        "inner": [
            {"level": level, "lower": (middle - each).tolist(), "upper": (middle + each).tolist()}
            for level, each in zip(levels[:-1], ends, strict=False)
        ],
        "level": levels[-1],
        "said": _describe("fallback", "no model answered: the last value is repeated"),
    }
    return detail


def _describe(model: str, note: str) -> dict[str, Any]:
    return {
        "model": model,
        "weights": {},
        "seasons": [],
        "coverage_so_far": None,
        "coverage_points": 0,
        "interval_reason": None,
        "coverage_reason": "no model answered",
        "notes": [note],
    }


def answers(columns: Columns, details: Sequence[Detail | None]) -> list[dict[str, Any]]:
    names = ("value", "lower", "upper")
    rows = zip(*(columns[name].tolist() for name in names), details, strict=True)
    return [_answer(*row) for row in rows]


def _answer(value: float, lower: float, upper: float, detail: Detail | None) -> dict[str, Any]:
    said = (detail or {}).get("data")
    if said is None:
        why = "no model answered, and the telemetry cannot be read without it"
        return {"forecast": []} | _describe("fallback", why)
    # What safety let through for the first step is what the list says of it too.
    steps = zip(
        [value, *said["value"][1:]],
        [lower, *said["lower"][1:]],
        [upper, *said["upper"][1:]],
        strict=True,
    )
    ts = said["ts"] or [None] * len(said["value"])
    forecast = [
        {"ts": _timestamp(when), "value": middle, "intervals": _intervals(said, at, low, high)}
        for at, (when, (middle, low, high)) in enumerate(zip(ts, steps, strict=True))
    ]
    return {"forecast": forecast, **said["said"]}


def _intervals(said: dict[str, Any], at: int, low: float, high: float) -> list[dict[str, Any]]:
    """Give a step's intervals by level; each lies within what safety let through of the widest."""
    if not (claims_below(low) or claims_above(high)):
        return []
    inner = [
        {
            "level": each["level"],
            "lower": min(max(each["lower"][at], low), high),
            "upper": max(min(each["upper"][at], high), low),
        }
        for each in said["inner"]
    ]
    widest = {
        "level": said["level"],
        "lower": low if claims_below(low) else None,
        "upper": high if claims_above(high) else None,
    }
    return [*inner, widest]


def _moments(said: Mapping[str, Any]) -> list[float]:
    return said["ts"] or [math.nan] * len(said["value"])


def _timestamp(epoch: int | None) -> str | None:
    if epoch is None:
        return None
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


FORECAST = InferenceEndpoint(
    name="forecast",
    path="/models/forecast",
    summary="Forecast a metric, or any series that the request brings",
    nested=Nested(
        {"value": "value", "lower": "lower", "upper": "upper"}, item="step", moments=_moments
    ),
    no_interval="The series is too short to say how far forecasts of it go wrong",
    body=ForecastBody,
    data=ForecastData,
    columns=columns,
    given=LAST,
    ordered=(("last_lower", "last_upper"),),
    answers=answers,
    fallback_detail=fallback_detail,
    interval_method="rolling-origin-conformal",
    interval_level=LEVELS[-1],
    deployment="forecasting",
    ask=ask,
)
