"""Rows of a table of streams."""

import numpy as np
import pytest

from models.anomaly.slots import Slots, checked_rows, fill, grown
from models.errors import ArtifactError, InvalidColumnError, ModelError


def test_rows_are_handed_out_lowest_first_and_again_when_released() -> None:
    slots = Slots()
    assert [slots.take() for _ in range(40)] == list(range(40))
    slots.release(7)
    slots.release(3)
    assert (len(slots), slots.take(), slots.take(), slots.take()) == (38, 3, 7, 40)
    assert slots.capacity >= 41


def test_a_row_that_nobody_took_is_refused() -> None:
    slots = Slots()
    slots.take()
    slots.require([0, 0])
    for wrong in (1, -1):
        with pytest.raises(ModelError, match=f"no stream has slot {wrong}"):
            slots.require([0, wrong])
        with pytest.raises(ModelError):
            slots.release(wrong)


def test_a_table_grows_with_what_it_holds() -> None:
    table = {"a": np.arange(6.0).reshape(3, 2), "b": np.array([1, 2, 3])}
    larger = grown(table, 5)
    assert larger["a"].shape == (5, 2)
    np.testing.assert_array_equal(larger["a"][:3], table["a"])
    np.testing.assert_array_equal(larger["b"], [1, 2, 3, 0, 0])


def test_a_state_is_written_into_its_row() -> None:
    table = {"a": np.zeros((2, 3)), "b": np.zeros(2)}
    fill(table, 1, {"a": np.array([1.0, 2.0]), "b": np.array(9.0)})
    np.testing.assert_array_equal(table["a"], [[0, 0, 0], [1, 2, 0]])
    np.testing.assert_array_equal(table["b"], [0, 9])


@pytest.mark.parametrize(
    "state",
    [{}, {"a": np.zeros(4)}, {"a": np.zeros((1, 1))}, {"a": np.zeros(2, dtype=np.int64)}],
)
def test_a_state_that_does_not_fit_is_refused(state: dict[str, np.ndarray]) -> None:
    with pytest.raises(ArtifactError):
        fill({"a": np.zeros((2, 3))}, 0, state)


def test_one_number_stands_for_every_row() -> None:
    np.testing.assert_array_equal(checked_rows("x", 2, 3), [2.0, 2.0, 2.0])
    assert checked_rows("x", 2, 3).flags.writeable


@pytest.mark.parametrize("values", [[1.0], [[1.0, 2.0]], [1.0, np.nan], np.inf])
def test_rows_that_are_none_are_refused(values: object) -> None:
    with pytest.raises(InvalidColumnError, match="column 'x'"):
        checked_rows("x", values, 2)
