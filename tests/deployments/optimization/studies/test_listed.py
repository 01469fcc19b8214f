from typing import Any

import pytest

from deployments.optimization.studies.listed import as_typed, twice
from models.optimization.bayes.candidates import key_of

SPACE: dict[str, Any] = {
    "x": {"type": "float", "low": -1.0, "high": 9.0},
    "n": {"type": "int", "low": 1, "high": 9},
    "kind": {"type": "categorical", "choices": [1, 1.0, True]},
}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"x": 3}, {"x": 3.0}),
        ({"x": -0.0}, {"x": 0.0}),
        ({"n": 3.0}, {"n": 3}),
        ({"n": 2.5}, {"n": 2.5}),  # the space refuses it
        ({"x": True, "n": False}, {"x": True, "n": False}),
        ({"x": "a", "other": 3}, {"x": "a", "other": 3}),
        ({"kind": 1}, {"kind": 1}),
        ({"kind": 1.0}, {"kind": 1.0}),
    ],
)
def test_a_number_is_kept_as_its_parameter_has_it(
    given: dict[str, Any], kept: dict[str, Any]
) -> None:
    found = as_typed(SPACE, given)
    assert key_of(found) == key_of(kept)


def test_choices_that_python_calls_equal_are_told_apart() -> None:
    assert twice([{"kind": 1}, {"kind": True}, {"kind": 1.0}]) is None


def test_the_second_of_two_is_named_with_the_first() -> None:
    assert twice([{"x": 1.0, "n": 2}, {"x": 2.0, "n": 2}, {"n": 2, "x": 1.0}]) == (2, 0)
