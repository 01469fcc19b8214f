"""Which changes are decided together, and that what is in force always fits together."""

from hypothesis import given
from hypothesis import strategies as st

from config_store.own_features import OwnFeature, catalogue_of
from deployments.definitions.changes import changes, settled
from deployments.definitions.in_force import ActiveDefinition

NAMES = ("a", "b", "c", "d", "e")


def named(**expressions: str) -> dict[str, ActiveDefinition]:
    return {
        name: ActiveDefinition(definition=OwnFeature(expression=each))
        for name, each in expressions.items()
    }


def test_what_depends_on_each_other_is_decided_together() -> None:
    good = named(a="load", b="a + 1", c="infra", d="load", e="d")
    wanted = named(a="load * 2", b="a + 1", c="infra * 2", d="load", e="d")
    first, second = changes(good, wanted)
    assert ([*first.ids], sorted(first.names)) == (["a"], ["a", "b"])
    assert ([*second.ids], sorted(second.names)) == (["c"], ["c"])
    assert changes(good, good) == []
    assert changes(named(a="load"), named(b="load")) == []


def test_a_function_is_changed_with_its_module() -> None:
    function = OwnFeature(function="own:f", inputs=("load",))
    before, after = (
        {"a": ActiveDefinition(definition=function, sha256=each)} for each in ("00" * 32, "11" * 32)
    )
    assert [[*each.ids] for each in changes(before, after)] == [["a"]]


def _orders(draw: st.DrawFn) -> dict[str, ActiveDefinition]:
    """Draw definitions in which each needs some of those before it, in an order of its own."""
    order = draw(st.permutations(NAMES))[: draw(st.integers(0, len(NAMES)))]
    found = {}
    for at, name in enumerate(order):
        needs = draw(st.lists(st.sampled_from(order[:at]), max_size=2)) if at else []
        found[name] = " + ".join(["load", *needs, str(draw(st.integers(0, 2)))])
    return named(**found)


_drawn = st.composite(_orders)()


@given(_drawn, _drawn, st.sets(st.integers(0, 4)))
def test_what_is_in_force_fits_together_and_a_held_change_is_as_before(
    good: dict[str, ActiveDefinition], wanted: dict[str, ActiveDefinition], places: set[int]
) -> None:
    found = changes(good, wanted)
    held = [each for at, each in enumerate(found) if at in places]
    in_force = settled(good, wanted, held)
    assert in_force.keys() >= wanted.keys()
    before, after = (
        catalogue_of({n: each.definition for n, each in side.items()}, 180.0)
        for side in (good, in_force)
    )
    for change in held:
        for name in change.ids:
            assert in_force[name] == good[name]
            assert after.versions[name] == before.versions[name]
    for change in found:
        if change not in held:
            assert all(in_force[name] == wanted[name] for name in change.ids)
