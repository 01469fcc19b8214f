"""What models say that they need, held against what they do."""

import numpy as np
import pytest

from deployments.forecasting.loaded_models import FORECASTERS, registered_name
from models.errors import TrainingDataError
from models.forecasting.plan.model import CAPACITY_MODEL
from models.forecasting.plan.telemetry import WANTED
from models.needs import CAPACITY, NEEDS, TAIL, full_hours
from models.tail.inputs import BOUNDS, INPUTS
from models.tail.naming import TAIL_MODEL


def test_every_model_that_is_trained_says_what_it_needs() -> None:
    assert set(NEEDS) == {TAIL_MODEL, CAPACITY_MODEL, *map(registered_name, FORECASTERS)}
    for name, needs in NEEDS.items():
        assert needs.until_then
        assert 0 <= needs.least_hours < full_hours([name])[name]


def test_the_plan_wants_what_it_says() -> None:
    assert {name for (name,) in CAPACITY.required} == set(WANTED) - {"ts", "entity"}


def test_what_the_tail_model_can_do_without_are_inputs_of_its_own() -> None:
    assert set(TAIL.can_do_without) == set(INPUTS) & set(BOUNDS)


@pytest.mark.parametrize(
    ("intervals", "cadence", "entities", "message"),
    [
        (310, 60.0, 1, "2,000 intervals needed, 310 are there: about 28 h more at a cadence of 60"),
        (1_900, 60.0, 10, "about 10 min more at a cadence of 60 s from 10 entities"),
        (2_000, 15.0, 10, "4,800 intervals needed, 2,000 are there: about 70 min"),  # two hours
        (0, 60.0, 0, "2,000 intervals needed, 0 are there: about 33 h more .* from one entity"),
    ],
)
def test_what_is_missing_is_said_as_a_time(
    intervals: int, cadence: float, entities: int, message: str
) -> None:
    with pytest.raises(TrainingDataError, match=message):
        TAIL.refuse_short(intervals, cadence, entities)


def test_enough_is_enough_and_a_lack_is_named() -> None:
    TAIL.refuse_short(2_000, 60.0, 1)
    TAIL.refuse_without(["request_rate", "p50_ms", "p99_ms"])
    with pytest.raises(TrainingDataError, match="lacks exemplars or p95_ms or p99_ms: map it"):
        TAIL.refuse_without(["request_rate", "p50_ms"])
    assert np.isfinite(TAIL.least_hours)
