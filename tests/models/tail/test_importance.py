"""Which inputs matter is known where the law is written out."""

from typing import Any

import numpy as np
import pytest

from models.tail.curve import LEVELS
from models.tail.history import prepare
from models.tail.importance import FEATURES, Importance, named, read_importances
from models.tail.inputs import INPUTS
from models.tail.shuffled import importances


@pytest.fixture(scope="module")
def found(law: Any, trained: Any) -> dict[str, Importance]:
    held_out = prepare(law.telemetry(seed=5), 11).split.held_out
    return importances(trained.model, held_out, np.random.default_rng(1))


def test_what_the_law_rests_on_matters_most_and_what_it_does_not_name_matters_nothing(
    found: dict[str, Importance],
) -> None:
    # Latency rises with 1.5 load^3 and its spread with load; infra is squared and mostly small.
    # The rate is a thousand times the load, so the two share what one of them would have alone.
    assert found["load"].share > 10 * found["load"].error
    assert found["load"].share > found["infra"].share > 3 * found["infra"].error
    assert abs(found["error_rate"].share) < 0.01


def test_it_is_the_growth_of_the_loss_to_the_digit(law: Any, trained: Any) -> None:
    """A second implementation: all of the loss, interval by interval, of one shuffle each."""
    held_out = prepare(law.telemetry(seed=5, days=10), 11).split.held_out
    at = np.random.default_rng(3).permutation(held_out.ts.size)[:1_500]
    inputs, truth = held_out.inputs[at], held_out.targets[at]

    def loss(asked: Any) -> float:
        quantiles = trained.model.quantiles(asked)
        each = (
            max(level * (y - q), (level - 1) * (y - q))
            for row, of_row in zip(quantiles, truth, strict=True)
            for q, level in zip(row, LEVELS, strict=True)
            for y in of_row
        )
        return float(sum(each))

    shuffled = inputs.copy()
    shuffled[:, 0] = np.random.default_rng(4).permutation(shuffled[:, 0])
    expected = loss(shuffled) / loss(inputs) - 1
    share = importances(trained.model, held_out, np.random.default_rng(5))["load"]
    assert share.share == pytest.approx(expected, rel=0.15)


def test_an_input_that_was_never_measured_has_none(law: Any, trained: Any) -> None:
    held_out = prepare(law.telemetry(seed=5), 11).split.held_out
    held_out.inputs[:, 1] = np.nan
    assert "infra" not in importances(trained.model, held_out, np.random.default_rng(1))


def test_a_version_keeps_them_as_metrics(trained: Any, found: dict[str, Importance]) -> None:
    assert next(iter(read_importances(trained.metrics))) == "load"
    assert read_importances(named(found)) == dict(
        sorted(found.items(), key=lambda each: -each[1].share)
    )
    one_hour = named({"load": Importance(0.5, float("nan"))})
    assert one_hour == {"importance_load": 0.5}
    assert read_importances({"coverage": 0.9}) == {}


def test_each_input_says_of_which_features_it_is_made() -> None:
    assert tuple(FEATURES) == INPUTS
