"""The parts of an envelope that say how far an answer may be trusted: interval and safety."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from deployments.api.endpoint import InferenceEndpoint
from deployments.runtime.batch import Judgement, Prediction
from safety.columns import PARAMETER, is_parameter
from safety.limits import Level
from safety.open_ends import claims_above, claims_below


def interval_of(
    family: InferenceEndpoint,
    lower: float,
    upper: float,
    detail: dict[str, Any],
    *,
    fallback: bool,
) -> dict[str, Any] | None:
    """Give the interval; an open end is null, and of an interval open at both nothing is left."""
    below, above = claims_below(lower), claims_above(upper)
    if not (below or above):
        return None
    return {
        "lower": lower if below else None,
        "upper": upper if above else None,
        "level": family.interval_level,
        "method": "fallback" if fallback else family.interval_method,
        **detail,
    }


def withheld_interval(
    prediction: Prediction, row: int, violations: list[dict[str, Any]]
) -> dict[str, Any] | None:
    """Give the model's interval of a row that the fallback answered, where it says something.

    It does not where the model did not answer, nor where it was asked what cannot be.
    """
    if not {"lower", "upper"} <= prediction.columns.keys():
        return None
    stopped = (each for each in violations if each["level"] in (Level.UNSAFE, Level.CRITICAL))
    if any(each["field"] not in prediction.columns for each in stopped):
        return None
    lower, upper = (float(prediction.columns[end][row]) for end in ("lower", "upper"))
    if not (math.isfinite(lower) and math.isfinite(upper)):
        return None
    said = (prediction.details[row] if prediction.details else None) or {}
    online = said.get("interval", {}).get("online")
    return {"lower": lower, "upper": upper, "online": online}


def withheld_columns(prediction: Prediction, judged: Judgement) -> dict[int, dict[str, float]]:
    """Give by row what the model said and the answer does not: all that a replay needs beside it.

    A row that fell back is named with every number of the model's; nothing is of one whose model
    did not answer.
    """
    if not (judged.violations or judged.overrides or judged.rungs.any()):  # nearly always
        return {}
    fallback = judged.fallback
    found: dict[int, dict[str, float]] = {}
    for name in prediction.columns.keys() & judged.columns.keys():
        said, left = prediction.columns[name], judged.columns[name]
        differs = fallback | ((said != left) & ~(np.isnan(said) & np.isnan(left)))
        for row in np.flatnonzero(differs).tolist():
            found.setdefault(row, {})[name] = float(said[row])
    return found


def why_no_interval(family: InferenceEndpoint, *, fallback: bool) -> str:
    """Say why nothing is claimed."""
    if fallback:
        return "The fallback answered, which gives no interval"
    return family.no_interval


def safety_of(
    level: Level, violations: list[dict[str, Any]], unjudged: Sequence[str], *, fallback: bool
) -> dict[str, Any]:
    return {
        "level": level,
        "violations": violations,
        "fallback": fallback,
        "override": None,
        "unjudged": unjudged,
    }


def steered(safety: dict[str, Any], judged: Judgement, row: int) -> dict[str, Any]:
    """Say in a row's safety what people put over the policy."""
    if ids := judged.overrides.get(row):
        safety = safety | {"override": ", ".join(ids.values())}
    return safety | {"checks": "off"} if judged.unchecked else safety


def unjudged_of(
    family: InferenceEndpoint, judged: Iterable[str], data: Mapping[str, Any]
) -> tuple[str, ...]:
    """Name the parts of an answer that no limit is held against: of parameters each by itself."""
    names = {name.removeprefix(PARAMETER) for name in judged if is_parameter(name)}
    if not names:
        return family.unjudged
    others = [part for part in family.unjudged if part != family.parameters]
    left = [name for name in data.get(family.parameters, ()) if name not in names]
    return (*others, *(f"{family.parameters}.{name}" for name in left))
