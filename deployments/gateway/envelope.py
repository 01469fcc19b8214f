"""The parts of an envelope that say how far an answer may be trusted: interval and safety."""

from typing import Any

from deployments.api.endpoint import InferenceEndpoint
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


def why_no_interval(family: InferenceEndpoint, *, fallback: bool) -> str:
    """Say why nothing is claimed."""
    if fallback:
        return "The fallback answered, and claims no interval"
    return family.no_interval


def safety_of(
    family: InferenceEndpoint, level: Level, violations: list[dict[str, Any]], *, fallback: bool
) -> dict[str, Any]:
    return {
        "level": level,
        "violations": violations,
        "fallback": fallback,
        "override": None,
        "unjudged": family.unjudged,
    }
