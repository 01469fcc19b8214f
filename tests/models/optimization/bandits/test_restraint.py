import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.optimization.bandits.policies import draw_arms
from models.optimization.bandits.restraint import canary_percentage, with_floor, within_cap
from models.protocols import FloatArray

CHANCES = arrays(np.float64, (3, 4), elements=st.floats(0.01, 1)).map(
    lambda each: each / each.sum(axis=1, keepdims=True)
)


@given(CHANCES, st.floats(0, 1))
def test_the_cap_bounds_the_canary_and_keeps_its_proportions(
    chances: FloatArray, cap: float
) -> None:
    held = within_cap(chances, 0, cap)
    assert (canary_percentage(held, 0) <= 100 * cap + 1e-9).all()
    np.testing.assert_allclose(held.sum(axis=1), 1)
    if cap > 1e-6:  # under that, proportions are lost to rounding
        share = chances[:, 1:] / chances[:, 1:].sum(axis=1, keepdims=True)
        np.testing.assert_allclose(held[:, 1:] / held[:, 1:].sum(axis=1, keepdims=True), share)


def test_a_cap_that_does_not_bind_changes_nothing() -> None:
    chances = np.array([[0.95, 0.05]])
    np.testing.assert_allclose(within_cap(chances, 0, 0.1), chances)
    assert within_cap(chances, 0, 0.0).tolist() == [[1.0, 0.0]]


def test_the_floor_reaches_every_eligible_arm_and_no_other() -> None:
    eligible = np.array([[True, True, False]])
    held = with_floor(np.array([[1.0, 0.0, 0.0]]), eligible, 0.1)
    np.testing.assert_allclose(held, [[0.95, 0.05, 0.0]])


def test_arms_are_drawn_as_often_as_their_chances_say() -> None:
    chances = np.array([[0.5, 0.0, 0.3, 0.2]])
    draws = np.random.default_rng(1).random(100_000)
    drawn = draw_arms(np.repeat(chances, len(draws), axis=0), draws)
    shares = np.bincount(drawn, minlength=4) / len(draws)
    np.testing.assert_allclose(shares, chances[0], atol=0.008)
    assert shares[1] == 0


@pytest.mark.parametrize("draw", [2.0**-53, 1 - 2.0**-53])
def test_the_ends_of_the_range_draw_no_arm_without_a_chance(draw: float) -> None:
    assert draw_arms(np.array([[0.0, 1.0, 0.0]]), np.array([draw])).tolist() == [1]
