import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from models.protocols import FloatArray
from models.tail.monotone import repaired


def grown(seed: int, rounds: int = 12) -> xgboost.Booster:
    """Grow noisy extreme quantiles, asked to fall in neither of the first two inputs."""
    rng = np.random.default_rng(seed)
    inputs = rng.random((3_000, 3))
    data = xgboost.QuantileDMatrix(inputs, rng.standard_t(2, 3_000) + inputs[:, 0], nthread=1)
    shape = {
        "objective": "reg:quantileerror",
        "quantile_alpha": [0.5, 0.99],
        "max_depth": 4,
        "monotone_constraints": (1, 1, 0),
        "nthread": 1,
    }
    return xgboost.train(shape, data, rounds)


def steepest_fall(booster: xgboost.Booster, column: int, seed: int) -> float:
    """Follow rays along one input and find the largest step down."""
    rng = np.random.default_rng(seed)
    rays = np.repeat(rng.random((40, 1, 3)), 200, axis=1)
    rays[:, :, column] = np.linspace(-0.1, 1.1, 200)
    heights: FloatArray = booster.inplace_predict(rays.reshape(-1, 3)).reshape(40, 200, 2)
    return float(np.diff(heights, axis=1).min())


def test_xgboost_breaks_its_own_constraint_for_quantiles() -> None:
    # The reason why the module exists; should this fail one day, the module may go.
    assert steepest_fall(grown(seed=1), column=0, seed=1) < -0.01


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1_000))
def test_a_repaired_booster_never_falls_where_it_must_not(seed: int) -> None:
    booster = repaired(grown(seed), (True, True, False))
    for column in (0, 1):
        assert steepest_fall(booster, column, seed) >= 0


def test_only_what_is_constrained_is_touched() -> None:
    booster = grown(seed=2)
    rows = np.random.default_rng(2).random((500, 3))
    free = repaired(booster, (False, False, False))
    assert (free.inplace_predict(rows) == booster.inplace_predict(rows)).all()


def test_a_repaired_booster_is_repaired_once_and_for_all() -> None:
    once = repaired(grown(seed=3), (True, True, False))
    twice = repaired(once, (True, True, False))
    assert bytes(once.save_raw("json")) == bytes(twice.save_raw("json"))


@pytest.mark.parametrize("rounds", [1, 40])
def test_it_keeps_every_tree(rounds: int) -> None:
    booster = grown(seed=4, rounds=rounds)
    assert repaired(booster, (True, True, False)).num_boosted_rounds() == rounds
