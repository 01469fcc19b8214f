"""Weights on the simplex, and intervals from the blend's own past errors."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.forecasting.blend import blend_weights, fit_blend, mean_weights
from models.forecasting.rolling import PastForecasts

MANY = 1e9  # so many separate looks that nothing is shrunk


def rolled(errors: dict[str, np.ndarray], truth: np.ndarray, looks: float = MANY) -> PastForecasts:
    return PastForecasts({name: truth + each for name, each in errors.items()}, truth, looks)


@given(seed=st.integers(0, 10_000), count=st.integers(2, 4))
def test_the_weights_are_the_best_of_the_simplex(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=60)
    points = truth[:, None] + rng.normal(size=(60, count)) @ rng.normal(size=(count, count))
    found = blend_weights(points, truth, MANY)
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1)
    best = np.mean((points @ found - truth) ** 2)
    shares = np.linspace(0, 1, 11)
    for other in itertools.product(shares, repeat=count):
        if abs(sum(other) - 1) < 1e-9:
            assert best <= np.mean((points @ np.array(other) - truth) ** 2) * (1 + 1e-4)


def test_few_looks_leave_them_near_equal() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=500)
    points = truth[:, None] + rng.normal(size=(500, 2)) * (0.1, 3.0)
    good = [blend_weights(points, truth, looks)[0] for looks in (0.0, 1.0, 4.0, 40.0, MANY)]
    assert good == sorted(good)
    assert good[0] == pytest.approx(0.5)
    assert good[-1] > 0.99


def test_perfect_forecasters_share_equally() -> None:
    truth = np.arange(9.0)
    assert blend_weights(np.column_stack([truth, truth]), truth, 3.0).tolist() == [0.5, 0.5]


def test_one_that_seldom_answered_is_left_out() -> None:
    rng = np.random.default_rng(0)
    silent = rng.normal(size=(10, 24))
    silent[:6] = np.nan
    errors = {"good": rng.normal(size=(10, 24)), "silent": silent}
    blend = fit_blend(rolled(errors, np.zeros((10, 24))), 0.9)
    assert blend is not None
    assert blend.weights == {"good": 1.0}


def test_without_any_past_there_is_no_blend() -> None:
    nothing = np.full((3, 24), np.nan)
    assert fit_blend(PastForecasts({"a": nothing}, nothing, 1.0), 0.9) is None
    assert fit_blend(PastForecasts({}, np.zeros((3, 24)), 1.0), 0.9) is None


def test_the_interval_widens_with_the_errors_and_leans_with_them() -> None:
    rng = np.random.default_rng(0)
    errors = (rng.exponential(size=(400, 24)) - 1) * np.linspace(1, 5, 24)
    blend = fit_blend(rolled({"a": -errors}, np.zeros((400, 24))), 0.8)
    assert blend is not None
    below, above = np.array(blend.below), np.array(blend.above)
    assert 4 < above[-1] / above[0] < 5.5
    assert (above > -below).all()
    assert np.mean((below <= errors) & (errors <= above)) == pytest.approx(0.8, abs=0.02)


def test_mean_weights_are_for_entities_never_judged() -> None:
    truth = np.zeros((40, 24))
    rng = np.random.default_rng(0)
    one = fit_blend(rolled({"a": rng.normal(size=truth.shape)}, truth), 0.9)
    other = fit_blend(rolled({"b": rng.normal(size=truth.shape)}, truth), 0.9)
    assert one is not None
    assert other is not None
    assert mean_weights([one, other]) == {"a": 0.5, "b": 0.5}
    assert mean_weights([]) == {}
