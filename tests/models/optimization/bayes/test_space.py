"""Spaces: what is refused, and that parameters come back from the unit cube as they went in."""

from typing import Any

import numpy as np
import pytest

from models.errors import SpaceError
from models.optimization.bayes.space import Space

WHOLE = {
    "x": {"type": "float", "low": -2.0, "high": 3.0},
    "rate": {"type": "float", "low": 1e-5, "high": 1.0, "log": True},
    "workers": {"type": "int", "low": 1, "high": 9},
    "queue": {"type": "int", "low": 1, "high": 4096, "log": True},
    "algo": {"type": "categorical", "choices": ["lru", "lfu", 3, True]},
}


def test_json_comes_back_as_it_was_read() -> None:
    space = Space.parse(WHOLE)
    assert Space.parse(space.document()) == space
    assert space.width == 8


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "empty"),
        ([], "table"),
        ({"x": {"type": "float", "low": 1, "high": 0}}, "'x'.*not under"),
        ({"x": {"type": "float", "low": 1, "high": 1}}, "not under"),
        ({"x": {"type": "float", "low": float("nan"), "high": 1}}, "finite"),
        ({"x": {"type": "float", "low": 0, "high": float("inf")}}, "finite"),
        ({"x": {"type": "float", "low": 0, "high": 1, "log": True}}, "logarithmic"),
        ({"x": {"type": "int", "low": 0.5, "high": 2}}, "whole"),
        ({"x": {"type": "int", "low": 0, "high": 2**60}}, "whole"),
        ({"x": {"type": "categorical", "choices": []}}, "0 choices"),
        ({"x": {"type": "categorical", "choices": ["a", "a"]}}, "twice"),
        ({"x": {"type": "categorical", "choices": [["a"]]}}, "words"),
        ({"x": {"type": "categorical", "choices": list(range(101))}}, "101 choices"),
        ({"x": {"type": "colour"}}, "type"),
        ({"x": {"type": "float", "low": 0}}, "'x'"),
        ({"x": {"type": "float", "low": "0", "high": 1}}, "not a number"),
        ({"": {"type": "float", "low": 0, "high": 1}}, "no name"),
        ({f"x{i}": {"type": "float", "low": 0, "high": 1} for i in range(51)}, "at most"),
    ],
)
def test_a_space_that_cannot_be_is_refused(document: Any, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        Space.parse(document)


def test_two_parameters_of_one_name_are_refused() -> None:
    one = Space.parse({"x": WHOLE["x"]}).parameters[0]
    with pytest.raises(SpaceError, match="same name: x"):
        Space((one, one))


def test_every_integer_and_choice_comes_back() -> None:
    space = Space.parse(WHOLE)
    for workers in range(1, 10):
        for queue in (1, 2, 3, 500, 4095, 4096):
            for algo in ("lru", "lfu", 3, True):
                values = {"x": 0.25, "rate": 0.01, "workers": workers, "queue": queue, "algo": algo}
                back = space.values(space.row(values))
                assert (back["workers"], back["queue"]) == (workers, queue)
                assert back["algo"] is algo
                assert back["x"] == pytest.approx(0.25)
                assert back["rate"] == pytest.approx(0.01)


def test_each_integer_owns_as_much_of_the_cube() -> None:
    space = Space.parse({"n": {"type": "int", "low": 1, "high": 4}})
    drawn = [space.values(np.array([each]))["n"] for each in (np.arange(400) + 0.5) / 400]
    assert [drawn.count(each) for each in range(1, 5)] == [100] * 4


def test_corners_of_the_cube_are_the_ends() -> None:
    space = Space.parse(WHOLE)
    low, high = space.values(np.zeros(8)), space.values(np.ones(8))
    assert (low["x"], low["workers"], low["queue"]) == (-2.0, 1, 1)
    assert (high["x"], high["workers"], high["queue"]) == (3.0, 9, 4096)


@pytest.mark.parametrize(
    "change", [{"x": 4}, {"x": "1"}, {"workers": 1.5}, {"algo": "fifo"}, {"y": 1}, {"x": True}]
)
def test_parameters_outside_are_refused(change: dict[str, Any]) -> None:
    values = {"x": 0, "rate": 0.1, "workers": 2, "queue": 2, "algo": "lru"}
    with pytest.raises(SpaceError):
        Space.parse(WHOLE).row(values | change)


def test_snapped_rows_are_those_of_parameters() -> None:
    space = Space.parse(WHOLE)
    rows = space.snapped(np.random.default_rng(0).random((50, 8)))
    for row in rows:
        np.testing.assert_allclose(space.row(space.values(row)), row, atol=1e-12)


def test_neighbours_differ_in_one_parameter() -> None:
    space = Space.parse(WHOLE)
    here = {"x": 0.0, "rate": 0.1, "workers": 2, "queue": 9, "algo": "lru"}
    for row in space.neighbours(space.row(here)):
        there = space.values(row)
        assert sum(there[name] != here[name] for name in ("workers", "queue", "algo")) == 1
