"""The rules that ship, by their numbers: on every answer that has such a field, nested ones too."""

import re
from collections.abc import Iterator
from typing import Any, get_args

import numpy as np
import pytest
from pydantic import BaseModel

from benchmarks.safety.fleet import shipped
from deployments.api.shipped import FAMILIES, known_columns
from deployments.runtime.batch import Batch
from deployments.safety.judge import Judge
from safety.limits import Range
from safety.proofs.check import check_policy
from safety.proofs.findings import Kind
from safety.shipped import default_policy

POLICY = default_policy()
# By the policy's column: the family, and between which numbers what it answers lies.
RULES = {
    "next_hour_workers": ("capacity", 1.0, 100.0),
    "queue_capacity": ("capacity", 50.0, 10_000.0),
    "autoscale_workers": ("tail", 1.0, 50.0),
    "canary_percentage": ("bandit", 0.0, 10.0),
}
# Fields of answers that count workers, queue or share traffic, by the column that judges them.
JUDGED_AS = {
    ("capacity", "next_hour_workers"): "next_hour_workers",
    ("capacity", "workers"): "next_hour_workers",
    ("capacity", "queue_capacity"): "queue_capacity",
    ("tail", "autoscale_workers"): "autoscale_workers",
    ("bandit", "canary_percentage"): "canary_percentage",
}
_SUCH = re.compile("worker|queue|canary")
WILD = (-1e12, -1.0, 0.0, 0.4, 1.0, 10.0, 49.0, 50.0, 51.0, 101.0, 5e3, 1e4, 1e4 + 1, 1e12)
FLEETS = (1.0, 3.0, 49.0, 50.0, 99.0, 100.0, 101.0, 300.0, 5_000.0)


def fields_of(model: type[BaseModel]) -> Iterator[str]:
    """Name every field of an answer, those of what it holds too."""
    for name, field in model.model_fields.items():
        yield name
        for part in _parts(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from fields_of(part)


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for each in get_args(annotation):
        yield from _parts(each)


def test_every_such_field_of_every_answer_is_judged_by_a_rule() -> None:
    such = {
        (name, field)
        for name, family in FAMILIES.items()
        for field in fields_of(family.data)
        if _SUCH.search(field)
    }
    assert such == JUDGED_AS.keys()
    for (name, field), column in JUDGED_AS.items():
        nested = FAMILIES[name].nested
        lists = {} if nested is None else nested.lists
        assert column == field or lists[column] == field, "another name is another rule's"
        assert RULES[column][0] == name


@pytest.mark.parametrize(("column", "rule"), RULES.items())
def test_the_rules_are_there_by_their_numbers(column: str, rule: tuple[str, float, float]) -> None:
    family, low, high = rule
    ranges = [each for each in POLICY.family(family).ranges if each.field == column]
    assert all(POLICY.family(family).acts(each) for each in ranges)
    assert low in {each.low for each in ranges}
    assert high in {each.high for each in ranges}
    always = [each for each in ranges if each.when is None]
    assert low in {each.low for each in always}
    if column in {"queue_capacity", "canary_percentage"}:
        assert any((each.low, each.high) == (low, high) for each in always)


def row_of(family: str, **values: float) -> dict[str, float]:
    """Give a row of which nothing is known but these values."""
    policy = POLICY.family(family)
    return dict.fromkeys((*policy.inputs, *policy.outputs), 1.0) | values


@pytest.mark.parametrize("column", RULES)
@pytest.mark.parametrize("fleet", [*FLEETS, float("nan")])
def test_no_answer_leaves_beyond_them_whatever_the_model_says(column: str, fleet: float) -> None:
    family, low, high = RULES[column]
    judge = Judge.of(POLICY.family(family))
    known = {"active_workers": fleet} if "active_workers" in judge.policy.inputs else {}
    for said in WILD:
        row = row_of(family, **known, **{column: said})
        batch = Batch(family, ["a"], {name: np.array([value]) for name, value in row.items()})
        (left,) = judge.judge(batch).columns[column].tolist()
        most = high
        if column.endswith("workers") and fleet > high:
            most = fleet  # it was made so large by people, and does not grow
        assert low <= left <= most, (said, left)


def test_autoscaling_to_50_cannot_be_had_for_every_fleet() -> None:
    policy = shipped("tail")
    literal = Range.model_validate(
        {
            "name": "literal",
            "field": "autoscale_workers",
            "high": 50,
            "level": "unsafe",
            "repair": "clamp",
            "message": "At most 50, whatever there is.",
        }
    )
    policy["ranges"].append(literal.model_dump(mode="json"))
    report = check_policy({"families": {"tail": policy}}, known_columns())
    (found,) = [each for each in report.findings if each.kind is Kind.CONTRADICTION]
    assert float(str(found.example["active_workers"])) > 70
