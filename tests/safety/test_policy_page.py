"""Every example in docs/policy.md is a policy, and its rules are found under the page's names."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from safety.checker import Checker
from safety.columns import TIME_COLUMNS
from safety.limits import Level, Repair
from safety.policy import FamilyPolicy
from safety.shipped import default_policy

PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()
EXAMPLES = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


def with_limits(family: str, limits: dict[str, Any]) -> FamilyPolicy:
    fields = default_policy().family(family).model_dump(mode="json")
    for kind, added in limits.items():
        before = fields.get(kind, type(added)())
        fields[kind] = {**before, **added} if isinstance(added, dict) else [*before, *added]
    return FamilyPolicy.model_validate(fields)


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_is_a_policy(example: dict[str, Any]) -> None:
    for family, limits in example.items():
        before = len(Checker(default_policy().family(family)).rules)
        added = sum(map(len, limits.values()))
        assert len(Checker(with_limits(family, limits)).rules) == before + added


def test_every_kind_of_limit_has_an_example() -> None:
    kinds = {kind for example in EXAMPLES for limits in example.values() for kind in limits}
    assert kinds >= {"ranges", "relations", "widths", "changes", "forbidden"}


def test_the_page_names_all_fields_levels_repairs_and_columns() -> None:
    words = [*FamilyPolicy.model_fields, *Level, *Repair, *TIME_COLUMNS]
    assert [word for word in words if f"`{word}`" not in PAGE] == []
