"""Every example in docs/policy.md is a policy, and its rules are found under the page's names."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from safety.caps import Caps
from safety.checker import Checker
from safety.columns import TIME_COLUMNS
from safety.limits import Level, Repair
from safety.policy import FamilyPolicy
from safety.recipes import Recipe
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


def parts() -> list[str]:
    """Give the examples of the table of what else judges or repairs."""
    table = PAGE.partition("| part | example |")[2].partition("\n\n")[0]
    return re.findall(r"^\| [^|]*\| `([^`]+)` \|", table, re.MULTILINE)


def test_each_part_of_the_table_can_be_said_in_a_policy() -> None:
    recipes = [json.loads(each) for each in parts() if each.startswith("{")]
    fields = [json.loads(f"{{{each}}}") for each in parts() if not each.startswith("{")]
    assert {TypeAdapter(Recipe).validate_python(each).kind for each in recipes} == {
        "constant",
        "multiple",
        "threshold",
    }
    shipped = default_policy().family("tail").model_dump(mode="json")
    for each in fields:
        assert FamilyPolicy.model_validate(shipped | each)
    limits = {"ranges", "relations", "widths", "changes", "forbidden"}
    said = {name for each in fields for name in each} | {"fallback", "inputs", "outputs"}
    assert said | limits == set(FamilyPolicy.model_fields)


def test_the_caps_are_those_of_the_code() -> None:
    for name, value in Caps().model_dump().items():
        assert f"`{name}` ({value:g}" in PAGE
