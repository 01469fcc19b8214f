"""Rows that were kept are those that would be written anew, at every moment."""

import numpy as np
import orjson
from hypothesis import given
from hypothesis import strategies as st

from config_store.own_features import OwnFeature, catalogue_of
from deployments.gateway.features.written_rows import WrittenRows
from features.definitions.catalogue import STORED
from features.vectors.published import OWN
from features.vectors.reading import Reading, Stored
from features.vectors.vector import GROUPS, Vector

CATALOGUE = catalogue_of({"failures": OwnFeature(expression="error_rate * request_rate")}, 180.0)
ALL = Reading(CATALOGUE, [*CATALOGUE.by_name])
SCORE = Reading(CATALOGUE, ["load_score", "failures"])

_numbers = st.sampled_from([np.nan, 0.0, 0.5, 2.0, 1e9])
_times = st.sampled_from([np.nan, 0.0, 100.0, 5_000.0, 1e5])
_vectors = st.builds(
    lambda values, events, known, cadence: Vector(
        dict(zip([each.name for each in STORED], values, strict=True)), events, known, cadence
    ),
    st.lists(_numbers, min_size=len(STORED), max_size=len(STORED)),
    st.lists(_times, min_size=len(GROUPS), max_size=len(GROUPS)),
    st.lists(_times, min_size=len(GROUPS), max_size=len(GROUPS)),
    st.sampled_from([15.0, 60.0, 300.0]),
)


def stored(vector: Vector) -> Stored:
    return OWN, vector.encode(OWN)


@given(
    st.lists(_vectors, min_size=1, max_size=3),
    # Around the moments at which something becomes stale, and a clock that goes back now and then.
    st.lists(
        st.sampled_from([0.0, 180.0, 280.0, 900.0, 1200.0, 7200.0]).flatmap(
            lambda at: st.sampled_from([at - 0.0005, at, at + 1e-7, at + 0.0005, at + 3.0])
        ),
        min_size=2,
        max_size=8,
    ),
)
def test_what_is_kept_is_what_would_be_written_anew(
    vectors: list[Vector], moments: list[float]
) -> None:
    kept = WrittenRows()
    found: list[Stored | None] = [*map(stored, vectors), None]
    entities = [f"service {at}" for at in range(len(found))]
    for now in moments:
        for reading in (ALL, SCORE):
            anew = WrittenRows().answer(reading, entities, found, now)
            assert kept.answer(reading, entities, found, now) == anew


def vector(load: float, event_time: float = 0.0) -> Stored:
    numbers = {each.name: load for each in STORED}
    times = [event_time] * len(GROUPS)
    return stored(Vector(numbers, times, times, 60.0))


def loads(answer: bytes) -> list[float]:
    return [row["values"][0] for row in orjson.loads(answer)["rows"]]


def test_a_new_vector_is_written_anew() -> None:
    reading, rows = Reading(CATALOGUE, ["load"]), WrittenRows()
    first, second = vector(0.25), vector(0.5)
    assert loads(rows.answer(reading, ["a", "b"], [first, first], 0.0)) == [0.25, 0.25]
    assert loads(rows.answer(reading, ["a", "b"], [second, first], 0.0)) == [0.5, 0.25]


def test_what_is_kept_is_bounded() -> None:
    reading = Reading(CATALOGUE, ["load"])
    one = vector(0.25)
    length = len(WrittenRows().answer(reading, ["0"], [one], 0.0))
    rows = WrittenRows(most_bytes=10 * length)
    for at in range(1_000):
        rows.answer(reading, [str(at)], [one], 0.0)
        rows.answer(reading, ["0"], [vector(at)], 0.0)
    assert rows._bytes == sum(len(each.row) for each in rows._kept.values()) <= 10 * length
    assert len(rows._kept) > 5
