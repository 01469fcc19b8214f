"""What a recorded answer says, as the columns that safety judges, and what the model had said.

An answer shows what safety let through. Where safety replaced a number, the record has the model's
beside the answer; before releases wrote that down, a broken limit's own words tell of a number
that was moved to it, and of a row that fell back nothing tells.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from typing import Any

from deployments.impact.recorded import LeftOutError, Recorded
from deployments.runtime.batch import Detail
from safety.checker import Checker
from safety.columns import PARAMETER, is_parameter
from safety.open_ends import FARTHEST
from safety.policy import FamilyPolicy
from safety.rules import Width

Data = Mapping[str, Any]

UNRECORDED = "its answer is the fallback's, and what the model said was not recorded yet"
# Of a column that the answer does not show.
UNSHOWN = math.nan


def answered(recorded: Recorded, policy: FamilyPolicy) -> dict[str, float]:
    """Give the columns of the answer as it left; NaN for one that it does not show."""
    interval = recorded.interval or {}
    lower, upper = interval.get("lower"), interval.get("upper")
    ends = {
        "lower": -FARTHEST if lower is None else float(lower),
        "upper": FARTHEST if upper is None else float(upper),
    }
    places = _PLACES.get(recorded.family.name, {})
    found = {}
    for name in policy.outputs:
        if name in ends:
            found[name] = ends[name]
            continue
        try:
            value = places[name](recorded.data) if name in places else recorded.data.get(name)
        except (KeyError, IndexError):
            value = None
        found[name] = _number(value, policy.codes.get(name, ()))
    return found


def model_said(
    recorded: Recorded, left: Mapping[str, float], checker: Checker
) -> dict[str, float] | None:
    """Give the columns as the model said them; None where it said nothing."""
    if recorded.is_unanswered:
        return None
    if recorded.withheld is not None:
        return {**left, **recorded.withheld}
    if recorded.fell_back:
        raise LeftOutError(UNRECORDED)
    moved = _moved(recorded, checker)
    return {name: moved.get((name, None), value) for name, value in left.items()}


def detail(recorded: Recorded, checker: Checker) -> Detail | None:
    """Give the lists and parameters that safety judges beside the columns, as the model said them.

    Each call makes them anew: safety writes into what it is given.
    """
    family, data = recorded.family, recorded.data
    if recorded.fell_back:
        return None
    said = _LISTS[family.name](data) if family.name in _LISTS else {}
    if family.parameters:
        said[family.parameters] = deepcopy(data[family.parameters])
    if not said:
        return None
    lists = {} if family.nested is None else family.nested.lists
    for (name, place), value in _moved(recorded, checker).items():
        if place is not None and name in lists:
            said[lists[name]][place - 1] = value
        elif place is None and is_parameter(name):
            _put(said[family.parameters], name.removeprefix(PARAMETER), value)
    return {"data": said}


def items_of(recorded: Recorded) -> dict[str, list[float]]:
    """Give the lists of the answer as it left, by the column that each is about."""
    nested = recorded.family.nested
    if nested is None or recorded.fell_back:
        return {}
    said = _LISTS[recorded.family.name](recorded.data)
    return {name: list(map(float, said[listed])) for name, listed in nested.lists.items()}


def parameters_of(recorded: Recorded) -> dict[str, Any]:
    part = recorded.family.parameters
    return dict(recorded.data[part]) if part and not recorded.fell_back else {}


def _moved(recorded: Recorded, checker: Checker) -> dict[tuple[str, int | None], float]:
    """Give by column, and by the number of the item, what a broken limit read there.

    All limits are held against what the model said, before anything is moved.
    """
    nested = recorded.family.nested
    rules = {rule.name: rule for rule in checker.rules}
    found: dict[tuple[str, int | None], float] = {}
    for each in recorded.safety["violations"]:
        rule = rules.get(each["rule"])
        if rule is None or each["field"] is None or isinstance(rule.measure, Width):
            continue  # the value of a width is no column's
        place = None if nested is None else each.get(nested.item)
        value = math.nan if each["value"] is None else float(each["value"])
        found.setdefault((each["field"], place), value)
    return found


def _put(parameters: dict[str, Any], name: str, value: float) -> None:
    """Put a number back that was moved; one that stands for a named choice never is."""
    before = parameters.get(name)
    if isinstance(before, bool | int | float) and math.isfinite(value):
        parameters[name] = type(before)(value)


def _number(value: Any, choices: Sequence[str]) -> float:
    if isinstance(value, str):
        return float(choices.index(value)) if value in choices else UNSHOWN
    return UNSHOWN if value is None else float(value)


def _oddest(data: Data, name: str) -> float | None:
    """Safety judges the point with the highest score; the first of several."""
    points = data["points"]
    value = max(points, key=lambda each: each["score"])[name] if points else None
    return None if value is None else float(value)


def _breach(data: Data) -> float:
    # The model says 0 where it tells the client that nobody can know it (models/tail/resolution).
    value = data["breach_probability"]
    return 0.0 if value is None else float(value)


# Where an output stands in the answer, if not under its own name.
_PLACES: Mapping[str, Mapping[str, Callable[[Data], Any]]] = {
    "tail": {"breach_probability": _breach},
    "capacity": {"rate": lambda data: data["forecast"][0]["rate"]},
    "forecast": {"value": lambda data: data["forecast"][0]["value"]},
    "extremes": {"value_at_risk": lambda data: data["var"][0]["value"]},
    "regime": {
        "mean": lambda data: data["regime"]["mean"],
        "sd": lambda data: data["regime"]["sd"],
    },
    "anomaly": {
        "score": lambda data: _oddest(data, "score"),
        "p_value": lambda data: _oddest(data, "p_value"),
    },
    "bandit-feedback": {"expected_reward": lambda data: data["posterior"]["mean"]},
    "bayes-opt": {"expected_improvement": lambda data: max(data["expected_improvement"] or 0, 0)},
    "bayes-opt-tell": {"expected_improvement": lambda _: 0.0},
}


def _hours(data: Data) -> dict[str, Any]:
    hours = data["forecast"]
    return {
        "start": _epoch(hours[0]["ts"]),
        "point": [each["rate"] for each in hours],
        "lower": [each["lower"] for each in hours],
        "upper": [each["upper"] for each in hours],
        "workers": list(data["workers"]),
    }


def _steps(data: Data) -> dict[str, Any]:
    steps = data["forecast"]
    widest = [each["intervals"][-1] if each["intervals"] else _NOTHING_CLAIMED for each in steps]
    times = [each["ts"] for each in steps]
    return {
        "ts": None if None in times else [_epoch(each) for each in times],
        "value": [each["value"] for each in steps],
        "lower": [-FARTHEST if each["lower"] is None else each["lower"] for each in widest],
        "upper": [FARTHEST if each["upper"] is None else each["upper"] for each in widest],
    }


def _epoch(timestamp: str) -> int:
    return int(datetime.fromisoformat(timestamp).timestamp())


_NOTHING_CLAIMED = {"lower": None, "upper": None}
_LISTS: Mapping[str, Callable[[Data], dict[str, Any]]] = {"capacity": _hours, "forecast": _steps}
