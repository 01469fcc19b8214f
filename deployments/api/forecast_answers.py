"""What is answered of a forecast: its steps, each with intervals, and what is known of them."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field

from deployments.runtime.batch import Columns, Detail
from safety.open_ends import claims_above, claims_below


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


def answers(columns: Columns, details: Sequence[Detail | None]) -> list[dict[str, Any]]:
    names = ("value", "lower", "upper")
    rows = zip(*(columns[name].tolist() for name in names), details, strict=True)
    return [_answer(*row) for row in rows]


def _answer(value: float, lower: float, upper: float, detail: Detail | None) -> dict[str, Any]:
    said = (detail or {}).get("data")
    if said is None:
        why = "no model answered, and the telemetry cannot be read without it"
        return {"forecast": []} | describe("fallback", why)
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


def moments(said: Mapping[str, Any]) -> list[float]:
    return said["ts"] or [math.nan] * len(said["value"])


def _timestamp(epoch: int | None) -> str | None:
    if epoch is None:
        return None
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def describe(model: str, note: str) -> dict[str, Any]:
    """Say of an answer that no model gave what answered, and why."""
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
