"""Extreme events: POST /models/extreme-events."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from config_store.document import ConfigDocument
from deployments.api.endpoint import WHOLE, FamilyBody, InferenceEndpoint
from deployments.runtime.batch import Columns, Detail
from deployments.tail.extremes.operations import Fit, FitTail

MOST_VALUES = 100_000
LEVEL = 0.95
# What a fallback says, from the values themselves: the quantiles that were seen.
SEEN = {"seen_95": 0.95, "seen_99": 0.99, "seen_most": 1.0}

Value = Annotated[float, Field(allow_inf_nan=False)]
Period = Annotated[float, Field(gt=1, le=1e9)]


class ExtremesBody(FamilyBody):
    """Values in order of time, or a metric of the entity, whose extremes are asked for."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": ["values"], "properties": {"values": {"type": "array"}}},
                {"required": ["metric"], "properties": {"metric": {"type": "string"}}},
            ],
            "examples": [
                {"entity": "order-gateway", "metric": "p99_ms"},
                {
                    "values": [round(1 + (7919 * n % 997) / 31, 3) for n in range(120)],
                    "threshold_quantile": 0.8,
                },
                {
                    "entity": "order-gateway",
                    "metric": "p99_ms",
                    "method": "block_maxima",
                    "block": 60,
                },
            ],
        }
    )

    metric: (
        Literal[
            "request_rate",
            "error_rate",
            "load",
            "queue_depth",
            "cpu",
            "memory",
            "p50_ms",
            "p95_ms",
            "p99_ms",
            "p999_ms",
        ]
        | None
    ) = Field(None, description="A metric of the entity: its last week, minute by minute.")
    values: Annotated[list[Value], Field(min_length=1, max_length=MOST_VALUES)] | None = None
    threshold_quantile: Annotated[float, Field(ge=0.5, lt=1)] | None = Field(
        0.95,
        description="Where the tail begins; null leaves the choice to a rule with diagnostics.",
    )
    return_periods: Annotated[list[Period], Field(max_length=16)] = Field(
        default=[100.0, 1000.0],
        description="Return periods in observations; with block_maxima, in blocks.",
    )
    confidence: Annotated[float, Field(ge=0.5, le=0.999)] = LEVEL
    value: Value | None = Field(None, description="The value to judge; by default the latest.")
    dependent: bool | None = Field(
        None,
        description="Whether extremes come in clusters; then only one peak of each "
        "cluster counts. By default true for a metric and false for values.",
    )

    method: Literal["peaks_over_threshold", "block_maxima"] = Field(
        "peaks_over_threshold",
        description="peaks_over_threshold fits what exceeds a threshold; block_maxima "
        "fits the largest value of each block. With block_maxima the whole "
        "answer, with its thresholds and probabilities, is about the largest "
        "value of a block. Maxima that depend on each other get no interval.",
    )
    block: Annotated[int, Field(ge=2, le=MOST_VALUES), WHOLE] | None = Field(
        None,
        description="How many observations a block has; required with block_maxima, and "
        "not allowed without.",
    )

    @model_validator(mode="after")
    def _a_block_for_block_maxima(self) -> Self:
        blocks = self.method == "block_maxima"
        if blocks != (self.block is not None):
            raise ValueError("block goes with the method block_maxima: give both or neither")
        if blocks and self.threshold_quantile is None:
            raise ValueError("block_maxima needs a threshold_quantile: no rule chooses it")
        if blocks and self.dependent is not None:
            raise ValueError("dependent is for peaks_over_threshold: leave it out")
        return self

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.metric is None) == (self.values is None):
            raise ValueError("give either metric or values")
        return self


class Ends(BaseModel):
    lower: float | None
    upper: float | None


class Estimated(Ends):
    value: float | None


class AtLevel(Estimated):
    level: float


class AtPeriod(Estimated):
    period: float


class ExtremesData(BaseModel):
    is_extreme: bool
    judged: float | None
    threshold: float
    shape: float | None
    shape_interval: Ends
    scale: float
    scale_interval: Ends
    exceedance_probability: float = Field(ge=0, le=1)
    exceedance_interval: Ends
    var: list[AtLevel]
    cvar: list[AtLevel]
    return_levels: list[AtPeriod]
    extremal_index: float | None
    exceedances: int
    location: float | None = Field(
        None, description="The location of the distribution of block maxima."
    )
    blocks: int | None = Field(None, description="How many block maxima the fit used.")
    notes: list[str]


def columns(bodies: Sequence[ExtremesBody], _: ConfigDocument) -> Columns:
    """Give what was seen of the values: from this a fallback answers."""
    seen = np.array([_quantiles(body) for body in bodies])
    return dict(zip(SEEN, seen.T, strict=True))


def _quantiles(body: ExtremesBody) -> list[float]:
    if body.values is None:
        return [np.nan] * len(SEEN)
    ordered = np.sort(np.asarray(body.values))
    places = [int(share * (ordered.size - 1)) for share in SEEN.values()]
    found: list[float] = ordered[places].tolist()
    return found


def ask(body: ExtremesBody) -> FitTail:
    return {"fit": _fit(body), "values": body.values}


def _fit(body: ExtremesBody) -> Fit:
    if body.block is not None and body.threshold_quantile is not None:
        return {
            "method": "block_maxima",
            "metric": body.metric,
            "threshold_quantile": body.threshold_quantile,
            "return_periods": body.return_periods,
            "confidence": body.confidence,
            "judged": body.value,
            "block": body.block,
        }
    return {
        "method": "peaks_over_threshold",
        "metric": body.metric,
        "threshold_quantile": body.threshold_quantile,
        "return_periods": body.return_periods,
        "confidence": body.confidence,
        "judged": body.value,
        "dependent": body.metric is not None if body.dependent is None else body.dependent,
    }


def answers(columns: Columns, details: Sequence[Detail | None]) -> list[dict[str, Any]]:
    names = ("threshold", "scale", "exceedance_probability", "value_at_risk")
    rows = zip(*(columns[name].tolist() for name in names), details, strict=True)
    return [_answer(*row) for row in rows]


def _answer(
    threshold: float, scale: float, probability: float, at_risk: float, detail: Detail | None
) -> dict[str, Any]:
    numbers = {
        "threshold": threshold,
        "scale": scale,
        "exceedance_probability": probability,
    }
    if detail is not None:
        return numbers | detail["data"]
    return numbers | _NO_FIT | {"var": [{"level": 0.99, "value": at_risk, **_OPEN}]}


_OPEN: dict[str, Any] = {"lower": None, "upper": None}
_NO_FIT: dict[str, Any] = {
    "is_extreme": False,
    "judged": None,
    "shape": None,
    "shape_interval": _OPEN,
    "scale_interval": _OPEN,
    "exceedance_interval": _OPEN,
    "cvar": [],
    "return_levels": [],
    "extremal_index": None,
    "exceedances": 0,
    "location": None,
    "blocks": None,
    "notes": ["no model answered: these are quantiles of the values, if there are any"],
}

EXTREMES = InferenceEndpoint(
    name="extremes",
    path="/models/extreme-events",
    summary="Fit the tail of a series and estimate its extremes",
    unjudged=(
        "shape",
        "shape_interval",
        "scale_interval",
        "exceedance_interval",
        "var",
        "cvar",
        "return_levels",
        "extremal_index",
        "location",
    ),
    no_interval="The likelihood is open at both ends: any value at risk is possible",
    body=ExtremesBody,
    data=ExtremesData,
    columns=columns,
    given=tuple(SEEN),
    answers=answers,
    interval_method="profile-likelihood",
    interval_level=LEVEL,
    deployment="tail",
    ask=ask,
)
