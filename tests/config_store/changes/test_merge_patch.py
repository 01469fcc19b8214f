"""RFC 7396: its own examples, and its properties."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config_store.changes.merge_patch import merged

# Appendix A of the RFC: the original, the patch, the result.
OF_THE_RFC: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]
SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2)
JSON = st.recursive(
    SCALARS,
    lambda part: (
        st.lists(part, max_size=3) | st.dictionaries(st.text("abc", max_size=2), part, max_size=3)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(("target", "patch", "result"), OF_THE_RFC)
def test_the_examples_of_the_rfc(target: Any, patch: Any, result: Any) -> None:
    assert merged(target, patch) == result


@given(JSON, JSON)
def test_a_patch_that_is_applied_twice_changes_nothing_more(target: Any, patch: Any) -> None:
    once = merged(target, patch)
    assert merged(once, patch) == once


@given(JSON)
def test_an_empty_patch_keeps_every_object(target: Any) -> None:
    assert merged(target, {}) == (target if isinstance(target, dict) else {})


def test_what_is_patched_is_left_as_it_was() -> None:
    target: dict[str, Any] = {"a": {"b": 1}, "c": [1]}
    merged(target, {"a": {"b": 2}, "c": None})
    assert target == {"a": {"b": 1}, "c": [1]}
