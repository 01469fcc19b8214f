"""A family to plant faults in: it has one of everything that a policy can say."""

from copy import deepcopy
from typing import Any

from safety.shipped import default_policy

Written = dict[str, Any]

# What limits say that are put into a policy, and so are told from its others.
MESSAGE = "It was planted."


def fleet(**lists: list[Written]) -> Written:
    """Give a policy in which nothing is wrong, with these limits more."""
    policy: Written = deepcopy(_FLEET)
    for name, limits in lists.items():
        policy[name] = [*policy.get(name, []), *limits]
    return policy


def shipped(family: str) -> Written:
    """Give a policy that ships, as JSON."""
    return default_policy().family(family).model_dump(mode="json")


def limit(level: str = "unsafe", **fields: Any) -> Written:
    return {"level": level, "message": MESSAGE} | fields


def when(left: str, op: str, right: float | str, **also: Any) -> Written:
    return {"left": left, "op": op, "right": right} | also


def without(policy: Written, name: str, field: str) -> Written:
    """Leave out what one list of a policy says of a field."""
    kept = [each for each in policy[name] if field not in each.values()]
    return policy | {name: kept}


def recipe(policy: Written, field: str, **changes: Any) -> Written:
    """Change the recipe of one field."""
    recipes = [each | changes if each["field"] == field else each for each in policy["fallback"]]
    return policy | {"fallback": recipes}


def constant(policy: Written, field: str, value: float) -> Written:
    """Answer a field by a constant."""
    recipes = [
        {"kind": "constant", "field": field, "value": value} if each["field"] == field else each
        for each in policy["fallback"]
    ]
    return policy | {"fallback": recipes}


def _own(level: str = "unsafe", **fields: Any) -> Written:
    return limit(level, **fields) | {"message": "It is the fleet's own."}


_FLEET: Written = {
    "inputs": ["load", "error_rate", "active", "slo_ms"],
    "outputs": ["wait_ms", "lower", "upper", "workers", "admit", "action"],
    "codes": {"action": ["none", "scale_up", "scale_down"]},
    "whole": ["workers"],
    "ranges": [
        _own(field="load", low=0),
        _own(field="error_rate", low=0, high=1),
        _own(field="active", low=1, high=1000),
        _own(field="slo_ms", low=1, high=60_000),
        _own(field="wait_ms", low=0, high=60_000),
        _own("critical", field="admit", low=0, high=1, above_low=True),
        _own(field="workers", low=1, high=100, repair="clamp"),
    ],
    "relations": [
        _own(lesser="lower", greater="upper"),
        _own(lesser="workers", greater="active", factor=3, margin=5, repair="clamp"),
    ],
    "widths": [_own(prediction="wait_ms", lower="lower", upper="upper", max_relative=4)],
    "fallback": [
        {
            "kind": "multiple",
            "field": "wait_ms",
            "of": "slo_ms",
            "times": 0.5,
            "otherwise": 100,
            "low": 0,
            "high": 60_000,
        },
        {
            "kind": "multiple",
            "field": "lower",
            "of": "wait_ms",
            "times": 0.5,
            "otherwise": 50,
            "low": 0,
            "high": 60_000,
        },
        {
            "kind": "multiple",
            "field": "upper",
            "of": "wait_ms",
            "times": 2,
            "otherwise": 200,
            "low": 0,
            "high": 120_000,
        },
        {
            "kind": "multiple",
            "field": "workers",
            "of": "active",
            "times": 1.2,
            "otherwise": 10,
            "low": 1,
            "high": 100,
        },
        {"kind": "constant", "field": "admit", "value": 1},
        {"kind": "constant", "field": "action", "value": 1},
    ],
}
