"""What both changed is told, what one changed is taken, and nothing is lost or made up."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config_store.changes.difference import differences
from config_store.changes.rebase import rebased

BASE = {"serving": {"tail": {"slo_ms": 250.0, "alias": "champion"}}, "models": {"tail": "1"}}


def with_(base: Any, *place: str, value: Any) -> Any:
    name, *rest = place
    return base | {name: with_(base.get(name, {}), *rest, value=value) if rest else value}


def test_a_setting_and_a_model_go_together() -> None:
    mine = with_(BASE, "serving", "tail", "slo_ms", value=90.0)
    theirs = with_(BASE, "models", "tail", value="2")
    both = with_(mine, "models", "tail", value="2")
    assert rebased(BASE, mine, theirs) == (both, ())
    assert rebased(BASE, theirs, mine) == (both, ())


def test_what_is_added_and_removed_goes_too() -> None:
    mine = {"serving": BASE["serving"]}
    theirs = with_(BASE, "serving", "capacity", value={"alias": "champion"})
    found = rebased(BASE, mine, theirs)
    assert found == ({"serving": theirs["serving"]}, ())


@pytest.mark.parametrize(
    ("mine", "theirs", "place"),
    [
        (("models", "tail", "2"), ("models", "tail", "3"), "models.tail"),
        # One of both is inside of what the other changed as a whole.
        (("models", None), ("models", "tail", "3"), "models"),
        (("sources", {"a": 1}), ("sources", {"b": 1}), "sources"),
        (("list", [1, 2, 4]), ("list", [0, 1, 2]), "list"),
        (("list", [1, 2, True]), ("list", [1, 2, 1]), "list"),
    ],
)
def test_what_both_changed_is_left_to_people(
    mine: tuple[Any, ...], theirs: tuple[Any, ...], place: str
) -> None:
    base = BASE | {"list": [1, 2]}
    one, other = (with_(base, *each[:-1], value=each[-1]) for each in (mine, theirs))
    assert rebased(base, one, other).overlaps == (place,)
    assert rebased(base, other, one).overlaps == (place,)


def test_where_both_say_the_same_there_is_nothing_to_decide() -> None:
    same = with_(BASE, "models", "tail", value="2")
    assert rebased(BASE, same, same) == (same, ())


NAMES = st.sampled_from("abc")
DOCUMENTS = st.recursive(
    st.integers(0, 2) | st.booleans(), lambda inner: st.dictionaries(NAMES, inner, max_size=3)
)


@given(DOCUMENTS, DOCUMENTS, DOCUMENTS)
def test_each_place_is_as_who_changed_it_has_it(base: Any, mine: Any, theirs: Any) -> None:
    found = rebased(base, mine, theirs)
    if found.overlaps:
        return
    changed = {each.path for each in differences(theirs, found.document)}
    assert changed <= {each.path for each in differences(base, mine)} | {
        each.path for each in differences(theirs, mine)
    }
    # Seen from the other side it is the same document.
    assert differences(rebased(base, theirs, mine).document, found.document) == []
    assert rebased(base, mine, base).document == mine
    assert rebased(base, base, theirs).document == theirs
