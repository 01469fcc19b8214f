"""Definitions fit each other, and their versions change with what decides a value."""

from dataclasses import replace

import pytest

from deployments.gateway.features.definitions import describe_computation
from features.calendars.of_entity import calendar_values
from features.definitions.catalogue import STORED, Catalogue
from features.definitions.definition import Calendar, Definition, Kind, Live, Window
from features.definitions.expression import parse
from features.definitions.live import FEATURES, LIVE_TTL
from features.errors import BadDefinitionError, UnknownFeaturesError
from features.telemetry.tables import METRICS
from tests.surface.source import REPOSITORY


def own(name: str, expression: str) -> Definition:
    return Definition(name, Kind.DERIVED, "", "", parse(expression))


def test_a_circle_is_refused_with_the_names_on_it() -> None:
    circle = [own("one", "two + load"), own("two", "three * 2"), own("three", "one - 1")]
    with pytest.raises(BadDefinitionError, match="it needs itself: ") as refused:
        Catalogue(circle)
    assert all(name in str(refused.value) for name in ("one", "two", "three"))
    with pytest.raises(BadDefinitionError, match="it needs itself: one <- one"):
        Catalogue([own("one", "one + 1")])


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadDefinitionError, match="'mine': there is no feature 'laod'; did you"):
        Catalogue([own("mine", "laod * 2")])
    with pytest.raises(UnknownFeaturesError, match="'cpu_mean_1j'; did you mean 'cpu_mean_1h'"):
        Catalogue().known(["load", "cpu_mean_1j"])


def test_a_shipped_name_is_taken() -> None:
    with pytest.raises(BadDefinitionError, match="'load': there is one of this name"):
        Catalogue([own("load", "infra * 2")])


def test_inputs_come_first_and_only_those_that_are_needed() -> None:
    catalogue = Catalogue([own("outer", "inner + infra"), own("inner", "load * 2")])
    order = catalogue.order(["outer"])
    assert sorted(order) == ["infra", "inner", "load", "outer"]
    assert order.index("load") < order.index("inner") < order.index("outer")


def test_a_version_changes_with_its_own_and_its_inputs_definition() -> None:
    inner, outer = own("inner", "load * 2"), own("outer", "inner + infra")
    before = Catalogue([inner, outer]).versions
    after = Catalogue([own("inner", "load * 3"), outer]).versions
    assert {name for name in before if before[name] != after[name]} == {"inner", "outer"}
    described = replace(outer, description="of another kind", owner="somebody")
    assert Catalogue([inner, described]).versions == before
    revised = replace(inner, revision=2)
    assert Catalogue([revised, outer]).versions["outer"] != before["outer"]


def test_a_derived_feature_lives_as_long_as_the_shortest_of_its_inputs() -> None:
    catalogue = Catalogue([own("mine", "cpu_mean_7d + load")], live_ttl_seconds=60.0)
    assert catalogue.ttl_seconds("mine") == 60.0
    assert Catalogue().ttl_seconds("load_score") == LIVE_TTL


def test_what_is_stored_is_computed_of_what_is_measured() -> None:
    for each in STORED:
        if isinstance(each.computed, Live | Window):
            assert set(each.source) <= set(METRICS)
    calendars = {each.name for each in STORED if isinstance(each.computed, Calendar)}
    assert calendars == set(calendar_values("XNYS", None, 1_773_144_000))
    assert set(FEATURES) <= set(STORED)


def test_the_documented_table_is_the_definitions() -> None:
    catalogue = Catalogue()
    rows = [
        f"| `{name}` | {each.kind} | {each.unit} | {each.low:g} to {each.high:g} "
        f"| {catalogue.ttl_seconds(name):g} s | {describe_computation(each)} | {each.description} |"
        for name, each in catalogue.by_name.items()
    ]
    text = (REPOSITORY / "docs/features.md").read_text()
    # Of the tables on the page only this one has so many columns.
    columns = rows[0].count(" | ")
    table = [line for line in text.splitlines() if line.startswith("| `")]
    assert [line for line in table if line.count(" | ") == columns] == rows
