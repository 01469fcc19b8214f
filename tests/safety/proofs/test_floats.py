"""The terms for floats promise nothing that the floats of this machine do not keep."""

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import z3
from hypothesis import given, settings
from hypothesis import strategies as st

from safety.proofs import floats
from safety.proofs.floats import Arithmetic, Number, constant

ANY = st.floats(allow_nan=True, allow_infinity=True)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
FACTOR = st.one_of(FINITE, st.sampled_from([0.1, 0.5, 2.0, -3.0, 1e-300, 1e300, 12.0, 4.5]))


def agrees(term: Number, arithmetic: Arithmetic, value: float) -> bool:
    """Tell whether a term may be this value, by all facts that are known of it."""
    solver = z3.SimpleSolver()
    solver.add(*arithmetic.facts)
    if np.isnan(value):
        solver.add(term.nan)
    elif np.isinf(value):
        solver.add(z3.Not(term.nan), term.above if value > 0 else term.below)
    else:
        solver.add(term.finite, term.real == constant(value))
    return bool(solver.check() == z3.sat)


@given(ANY, FACTOR)
@settings(max_examples=150, deadline=None)
def test_a_product_may_be_what_the_processor_gives(value: float, factor: float) -> None:
    arithmetic = Arithmetic(rounded=True)
    term = arithmetic.times(factor, floats.number(value))
    with np.errstate(all="ignore"):
        assert agrees(term, arithmetic, float(np.float64(factor) * np.float64(value)))


@given(ANY, FINITE)
@settings(max_examples=150, deadline=None)
def test_a_sum_may_be_what_the_processor_gives(value: float, margin: float) -> None:
    arithmetic = Arithmetic(rounded=True)
    term = arithmetic.plus(floats.number(value), margin)
    with np.errstate(all="ignore"):
        assert agrees(term, arithmetic, float(np.float64(value) + np.float64(margin)))


@given(ANY, ANY)
@settings(max_examples=150, deadline=None)
def test_a_difference_may_be_what_the_processor_gives(first: float, second: float) -> None:
    arithmetic = Arithmetic(rounded=True)
    term = arithmetic.minus(floats.number(first), floats.number(second))
    with np.errstate(all="ignore"):
        assert agrees(term, arithmetic, float(np.float64(first) - np.float64(second)))


@given(ANY, st.floats(1e-9, 1e9))
@settings(max_examples=100, deadline=None)
def test_a_quotient_may_be_what_the_processor_gives(value: float, by: float) -> None:
    arithmetic = Arithmetic(rounded=True)
    term = arithmetic.divided(floats.number(value), by)
    with np.errstate(all="ignore"):
        assert agrees(term, arithmetic, float(np.float64(value) / np.float64(by)))


@given(st.integers(-(2**60), 2**60), st.integers(-1000, 1000))
@settings(max_examples=100, deadline=None)
def test_whole_numbers_may_be_what_the_processor_gives(value: int, more: int) -> None:
    number, margin = float(value), float(more)
    arithmetic = Arithmetic(rounded=True)
    total = arithmetic.plus(floats.number(number), margin)
    assert agrees(total, arithmetic, number + margin)
    arithmetic = Arithmetic(rounded=True)
    product = arithmetic.times(margin, floats.number(number))
    assert agrees(product, arithmetic, margin * number)


@given(ANY, st.floats(-1e6, 1e6), st.floats(0, 1e6))
@settings(max_examples=100, deadline=None)
def test_what_does_not_round_is_the_same(value: float, low: float, span: float) -> None:
    term, high = floats.number(value), low + span
    arithmetic = Arithmetic(rounded=True)
    with np.errstate(all="ignore"):
        assert agrees(floats.clip(term, low, high), arithmetic, float(np.clip(value, low, high)))
        assert agrees(floats.round_up(term), arithmetic, float(np.ceil(value)))
        assert agrees(floats.round_down(term), arithmetic, float(np.floor(value)))
        assert agrees(floats.size_of(term), arithmetic, float(np.abs(value)))
        assert agrees(floats.at_least(term, low), arithmetic, float(np.maximum(value, low)))


COMPARISONS: list[tuple[Callable[[float, float], bool], Callable[[Number, float], z3.BoolRef]]] = [
    (lambda value, bound: value < bound, floats.under),
    (lambda value, bound: value > bound, floats.over),
    (
        lambda value, bound: value <= bound,
        lambda term, bound: floats.at_most(term, floats.number(bound)),
    ),
]


@pytest.mark.parametrize(("compared", "terms"), COMPARISONS)
@given(ANY, FINITE)
@settings(max_examples=100, deadline=None)
def test_comparisons_are_those_of_floats(
    compared: Callable[[float, float], bool],
    terms: Callable[[Number, float], z3.BoolRef],
    value: float,
    bound: float,
) -> None:
    assert z3.is_true(z3.simplify(terms(floats.number(value), bound))) == compared(value, bound)


def test_a_result_far_from_the_exact_one_is_excluded() -> None:
    arithmetic = Arithmetic(rounded=True)
    term = arithmetic.times(0.1, floats.number(3.0))
    assert agrees(term, arithmetic, 0.1 * 3.0)
    assert not agrees(term, arithmetic, 0.1 * 3.0 * (1 + 1e-15))
    assert Fraction(0.1) * 3 != Fraction(0.1 * 3.0)  # rounding matters here
