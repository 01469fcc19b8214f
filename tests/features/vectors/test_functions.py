"""Features by functions in vectors: in what is published, and in what is noted of it."""

from collections.abc import Mapping

import numpy as np

from features.definitions.catalogue import STORED, Catalogue
from features.definitions.definition import Definition, Function, Kind
from features.definitions.expression import parse
from features.vectors.functions import FunctionFeatures
from features.vectors.published import OWN
from features.vectors.reading import Floats, Reading
from features.vectors.vector import GROUPS, Vector, group_of


class Sums:
    """Adds up its inputs, with no process of its own."""

    def __init__(self, missing: float = np.nan) -> None:
        self._missing = missing

    def evaluate(
        self, definition: Definition, function: Function, columns: Mapping[str, Floats]
    ) -> Floats:
        assert definition.computed is function
        assert [*columns] == [*function.names]
        given = [np.nan_to_num(each, nan=self._missing) for each in columns.values()]
        found: Floats = np.sum(given, axis=0)
        return found


def derived(name: str, *inputs: str, high: float = np.inf) -> Definition:
    computed = Function("own:f", inputs, "00")
    return Definition(name, Kind.DERIVED, "", "", computed, high=high)


CATALOGUE = Catalogue(
    [
        derived("odd", "regime_minutes", "load"),
        derived("sum", "load", "twice", high=1.0),
        Definition("twice", Kind.DERIVED, "", "", parse("load * 2")),
        Definition("after", Kind.DERIVED, "", "", parse("sum + 1")),
    ]
)
OWN_FEATURES = FunctionFeatures(CATALOGUE, Sums())


def vector(load: float, regime_minutes: float, at: float = 1000.0) -> Vector:
    values = dict.fromkeys((each.name for each in STORED), 0.0)
    times = [at + place for place in range(len(GROUPS))]
    values |= {"load": load, "regime_minutes": regime_minutes}
    return Vector(values, times, times, 60.0)


def test_they_are_published_with_the_others_and_read_with_their_inputs_times() -> None:
    vectors = OWN_FEATURES.put_into({"a": vector(0.25, 7.0), "b": vector(0.5, np.nan)})
    layout = OWN_FEATURES.layout
    reading = Reading(CATALOGUE, ["odd", "sum", "after", "load", "regime_minutes"])
    found = reading.read([(layout, each.encode(layout)) for each in vectors.values()], 1001.0)
    expected = [[7.25, 0.75, 1.75, 0.25, 7.0], [np.nan, np.nan, np.nan, 0.5, np.nan]]
    np.testing.assert_array_equal(found.values, expected)
    # 1.5 is out of its bounds, and was published all the same.
    assert found.outside.tolist() == [[False] * 5, [False, True, False, False, False]]
    assert vectors["b"].values["sum"] == 1.5
    np.testing.assert_array_equal(found.event_time[:, 1], found.event_time[:, 3])
    oldest = found.event_time[:, [3, 4]].min(axis=1)
    np.testing.assert_array_equal(found.event_time[:, 0], oldest)


def test_one_that_does_with_less_is_as_old_as_what_it_was_given() -> None:
    catalogue = Catalogue([derived("first", "load", "baseline_ms")])
    places = [GROUPS.index(group_of(catalogue.by_name[n])) for n in ("load", "baseline_ms")]
    times = [np.nan] * len(GROUPS)
    nothing = Vector(vector(np.nan, 0.0).values, times, times, 60.0)
    times = [*times]
    times[places[0]] = 1000.0
    some = Vector(vector(0.25, 0.0).values, times, times, 60.0)
    stored = [(OWN, each.encode(OWN)) for each in (some, nothing)]
    found = Reading(catalogue, ["first"], Sums(missing=0.0)).read(stored, 1001.0)
    np.testing.assert_array_equal(found.values, [[0.25], [np.nan]])
    np.testing.assert_array_equal(found.event_time, [[1000.0], [np.nan]])
    np.testing.assert_array_equal(found.known_time, [[1000.0], [np.nan]])
    published = FunctionFeatures(catalogue, Sums(missing=0.0)).put_into({"a": some, "b": nothing})
    assert published["a"].values["first"] == 0.25
    assert np.isnan(published["b"].values["first"])


def test_readers_with_another_version_of_a_function_find_none() -> None:
    vectors = OWN_FEATURES.put_into({"a": vector(0.25, 7.0)})
    changed = Function("own:f", ("load", "twice"), "11")
    other = Catalogue(
        [
            Definition("sum", Kind.DERIVED, "", "", changed, high=1.0),
            Definition("twice", Kind.DERIVED, "", "", parse("load * 2")),
        ]
    )
    layout = OWN_FEATURES.layout
    stored = [(layout, vectors["a"].encode(layout))]
    found = Reading(other, ["sum", "twice"]).read(stored, 1001.0)
    np.testing.assert_array_equal(found.values, [[np.nan, 0.5]])


def test_what_follows_from_streams_is_not_noted() -> None:
    published = OWN_FEATURES.put_into({"a": vector(0.25, 7.0)})
    noted = OWN_FEATURES.as_computed_again({"a": vector(0.25, np.nan)}, published)
    again = OWN_FEATURES.put_into({"a": vector(0.25, np.nan)})
    proven = OWN_FEATURES.as_computed_again({"a": vector(0.25, np.nan)}, again)
    layout = OWN_FEATURES.layout
    assert noted["a"].encode(layout) == proven["a"].encode(layout)
    assert noted["a"].values["sum"] == 0.75
    assert np.isnan(noted["a"].values["odd"])


def test_without_functions_nothing_is_added() -> None:
    plain = FunctionFeatures(Catalogue(), None)
    assert plain.layout is OWN
    assert plain.put_into({"a": vector(0.25, 7.0)})["a"].values.keys() == {
        each.name for each in STORED
    }
