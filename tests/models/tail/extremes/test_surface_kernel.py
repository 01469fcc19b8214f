"""The compiled formulas against those in numpy, and a root against one found by bisection."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from models.tail.extremes import surface_kernel as kernel
from models.tail.extremes.deviance_roots import log_rate_change
from models.tail.extremes.problem import Problems, values
from models.tail.extremes.quantity import Kind


@given(
    kind=st.sampled_from(Kind),
    side=st.sampled_from([1.0, -1.0]),
    scale=st.floats(0.01, 100),
    shape=st.floats(-1, 4),
    log_rate=st.floats(-8, 0),
    offset=st.floats(0, 20),
    excess=st.floats(0, 50),
)
@settings(max_examples=300, deadline=None)
def test_a_point_is_worth_what_numpy_says(
    kind: Kind, side: float, scale: float, shape: float, log_rate: float, offset: float,
    excess: float,
) -> None:  # fmt: skip
    found = kernel._value((int(kind), side, offset, excess), (scale, shape, log_rate))
    row = np.zeros(1, dtype=np.int64)
    asked = Problems(row, row, row + kind, np.array([side]), np.array([offset]), np.array([excess]))
    point = (np.full((1, 1, 1), number) for number in (scale, shape, log_rate))
    with np.errstate(all="ignore"):
        expected = side * values(asked, *point)[0, 0, 0]
    if math.isnan(expected):
        expected = -math.inf
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(
    root=st.floats(-4, 4),
    exceeded=st.integers(20, 5_000),
    others=st.integers(20, 100_000),
)
@settings(max_examples=200, deadline=None)
def test_a_rate_is_changed_as_numpy_says(root: float, exceeded: int, others: int) -> None:
    expected = log_rate_change(
        np.array(root), np.array(float(exceeded)), np.array(float(exceeded + others))
    )
    found = kernel._rate_change(root, float(exceeded), float(exceeded + others))
    assert found == pytest.approx(float(expected), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("root", [-0.9, -0.3, -1e-2, -1e-4, 0.0, 1e-4, 1e-2, 0.3, 0.9])
def test_a_factor_has_the_deviance_asked(root: float) -> None:
    low, high = (1e-6, 1.0) if root < 0 else (1.0, 20.0)

    def off(x: float) -> float:
        return 2 * (x - 1 - math.log(x)) - root * root

    expected = 1.0 if root == 0 else optimize.brentq(off, low, high, xtol=1e-14)
    assert kernel._factor(root) == pytest.approx(expected, abs=3e-5)
