import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from safety.last_safe import Entry, LastSafe

ENTITIES = [f"e{each}" for each in range(12)]
BATCHES = st.lists(
    st.lists(st.tuples(st.sampled_from(ENTITIES), st.floats(-1e6, 1e6)), min_size=1, max_size=6),
    max_size=20,
)


def noted(memory: LastSafe, batch: list[tuple[str, float]], now: float) -> None:
    values = np.array([value for _, value in batch])
    memory.note([entity for entity, _ in batch], [values, values + 1], now)


@given(BATCHES)
def test_it_gives_what_a_dictionary_would(batches: list[list[tuple[str, float]]]) -> None:
    memory, plain = LastSafe(("a", "b"), most=64), dict[str, tuple[float, float]]()
    for now, batch in enumerate(batches):
        noted(memory, batch, float(now))
        plain |= {entity: (value, float(now)) for entity, value in batch}
    columns, at = memory.find(ENTITIES)
    for row, entity in enumerate(ENTITIES):
        value, when = plain.get(entity, (math.nan, math.nan))
        np.testing.assert_equal(columns["a"][row], value)
        np.testing.assert_equal(columns["b"][row], value + 1)
        np.testing.assert_equal(at[row], when)
    assert len(memory) == len(plain)


@given(BATCHES, st.integers(1, 8))
def test_a_full_table_lets_the_oldest_go_and_never_mixes_entities(
    batches: list[list[tuple[str, float]]], most: int
) -> None:
    memory, said = LastSafe(("a", "b"), most=most), dict[str, float]()
    for now, batch in enumerate(batches):
        noted(memory, batch, float(now))
        for entity, value in batch:
            said[entity] = value
        assert len(memory) <= most
    columns, at = memory.find(ENTITIES)
    for row, entity in enumerate(ENTITIES):
        if not math.isnan(at[row]):
            assert columns["a"][row] == said[entity]
    if batches:  # the one that was answered last is there, however small the table
        assert not np.isnan(memory.find([batches[-1][-1][0]])[1][0])


def test_another_replica_takes_over_what_is_newer() -> None:
    one, other = LastSafe(("a", "b"), most=8), LastSafe(("b", "a"), most=8)
    noted(one, [("x", 1.0), ("y", 2.0)], 10.0)
    other.note(["y"], [np.array([9.0]), np.array([9.0])], 11.0)
    other.restore(one.take_changed(10))
    columns, at = other.find(["x", "y"])
    assert columns["a"].tolist() == [1.0, 9.0]
    assert columns["b"].tolist() == [2.0, 9.0]
    assert at.tolist() == [10.0, 11.0]
    assert one.take_changed(10) == []
    other.restore([Entry("z", 12.0, {"a": 1.0})])  # of a policy with other fields
    assert np.isnan(other.find(["z"])[1][0])


def test_what_changed_is_given_in_pieces_and_once() -> None:
    memory = LastSafe(("a", "b"), most=64)
    noted(memory, [(entity, 1.0) for entity in ENTITIES], 1.0)
    pieces = [memory.take_changed(5) for _ in range(4)]
    assert [len(piece) for piece in pieces] == [5, 5, 2, 0]
    assert {each.entity for piece in pieces for each in piece} == set(ENTITIES)
