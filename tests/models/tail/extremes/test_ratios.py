"""The ratios against a hundred digits of the same."""

from decimal import Decimal, getcontext

import numpy as np
import pytest

from models.tail.extremes.ratios import expm1_ratio, log1p_ratio, log1p_ratios

PLACES = [0.0, 1e-300, -1e-12, 1e-9, -1e-6, 9e-5, -9.9e-5, 1.1e-4, -1e-3, 0.3, -0.7, 5.0, 400.0]


def exact(t: float) -> tuple[float, float, float, float]:
    getcontext().prec = 100
    d = Decimal(t)
    if abs(t) < 1e-20:
        return 1.0, -0.5, 2 / 3, 1.0
    value = (1 + d).ln() / d
    first = (1 / (1 + d) - value) / d
    second = (-1 / (1 + d) ** 2 - 2 * first) / d
    return float(value), float(first), float(second), float((d.exp() - 1) / d)


@pytest.mark.parametrize("t", PLACES)
def test_they_have_all_digits_near_nought_and_far_from_it(t: float) -> None:
    value, first, second, grown = exact(t)
    found = log1p_ratios(np.array([t]))
    assert found.value[0] == pytest.approx(value, rel=1e-15)
    assert log1p_ratio(np.array([t]))[0] == pytest.approx(value, rel=1e-15)
    assert found.first[0] == pytest.approx(first, rel=1e-11)
    assert found.second[0] == pytest.approx(second, rel=1e-7)
    assert expm1_ratio(np.array([t]))[0] == pytest.approx(grown, rel=1e-14)
