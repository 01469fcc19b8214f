from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config_store.changes.difference import Difference, differences
from config_store.changes.merge_patch import merged
from config_store.shipped import default_document
from tests.config_store.changes.test_merge_patch import JSON

# Nulls remove in a patch, and names with dots are for the tests of paths.
LEAVES = st.booleans() | st.integers(-3, 3) | st.lists(st.integers(0, 2), max_size=3)
TREES = st.dictionaries(
    st.sampled_from("abc"),
    st.recursive(
        LEAVES,
        lambda part: st.dictionaries(st.sampled_from("abc"), part, min_size=1, max_size=3),
        max_leaves=8,
    ),
    max_size=3,
)


def patch_of(found: list[Difference]) -> dict[str, Any]:
    """Write a merge patch that does what the differences say; lists are values there."""
    patch: dict[str, Any] = {}
    for each in found:
        at = patch
        *way, last = each.path.split(".")
        for part in way:
            at = at.setdefault(part, {})
        at[last] = each.after
    return patch


@given(JSON, JSON)
def test_there_is_a_difference_exactly_where_two_values_differ(before: Any, after: Any) -> None:
    same = type(before) is type(after) and repr(_sorted(before)) == repr(_sorted(after))
    assert (differences(before, after) == []) == same


@given(TREES, TREES)
def test_the_differences_lead_from_one_to_the_other(before: Any, after: Any) -> None:
    found = [each for each in differences(before, after) if "[" not in each.path]
    lists = {each.path.partition("[")[0] for each in differences(before, after)} - {
        each.path for each in found
    }
    patch = patch_of(found)
    made = merged(before, patch)
    if not lists:
        assert made == after


def test_a_rule_that_is_put_in_front_changes_no_other() -> None:
    rules = [{"field": "p50", "high": 1}, {"field": "p99", "high": 2}]
    after = [{"field": "load", "high": 3}, rules[0], rules[1] | {"high": 5}]
    assert differences({"ranges": rules}, {"ranges": after}) == [
        Difference("ranges[0]", "added", None, after[0]),
        Difference("ranges[2].high", "changed", 2, 5),
    ]
    assert differences({"ranges": after}, {"ranges": rules}) == [
        Difference("ranges[0]", "removed", after[0], None),
        Difference("ranges[1].high", "changed", 5, 2),
    ]


def test_places_are_written_so_that_they_name_one_thing() -> None:
    before = {"entities": {"a.b": {"target_ms": 1}}, "a": {"b": 1}}
    after = {"entities": {"a.b": {"target_ms": 2}}, "a": {"b": 2}}
    assert [each.path for each in differences(before, after)] == [
        "a.b",
        'entities["a.b"].target_ms',
    ]
    assert differences(1, 2) == [Difference("document", "changed", 1, 2)]
    assert differences({"a": 1}, {"a": True}) == [Difference("a", "changed", 1, True)]


def test_a_changed_value_of_the_shipped_document_is_one_line() -> None:
    before = default_document().model_dump(mode="json")
    after = merged(before, {"serving": {"tail": {"slo_ms": 90.0}}})
    slo = before["serving"]["tail"]["slo_ms"]
    assert differences(before, after) == [Difference("serving.tail.slo_ms", "changed", slo, 90.0)]


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("alike", [True, False])
def test_lists_without_measure_are_compared_place_by_place(alike: bool) -> None:
    before = ["a" if alike else f"a{number}" for number in range(20_000)]
    after = ["b", *before[:10_000], "c", *before[10_001:], "d"]
    found = differences(before, after)
    rebuilt = dict(enumerate(before))
    for each in found:
        rebuilt[int(each.path.strip("[]"))] = each.after
    assert [rebuilt[at] for at in range(len(after))] == after
