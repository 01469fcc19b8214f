"""The terms say of each row what the code that serves says of it."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import z3
from hypothesis import given, settings
from hypothesis import strategies as st

from safety.fallback import Fallback
from safety.policy import FamilyPolicy
from safety.proofs import floats
from safety.proofs.answer_terms import answer
from safety.proofs.floats import Arithmetic, Number
from safety.proofs.limits_held import Family
from safety.proofs.rule_terms import is_broken
from tests.safety.policies import INPUTS, OUTPUTS, POLICY, SMALL

# Exact in every operation that these policies hold, so that rounding is not the question here.
VALUE = SMALL | st.sampled_from([math.nan, math.inf, -math.inf])
NUMBERS = st.sampled_from([-2.0, 0.0, 0.5, 1.0, 1.5, 4.0])


def filled(draw: st.DrawFn, columns: tuple[str, ...]) -> dict[str, float]:
    return {name: draw(VALUE) for name in columns}


@st.composite
def judged(draw: st.DrawFn) -> tuple[FamilyPolicy, dict[str, float]]:
    policy = draw(POLICY)
    return policy, filled(draw, (*policy.inputs, *policy.outputs, *policy.context_columns()))


@given(judged())
@settings(max_examples=60, deadline=None)
def test_a_limit_is_broken_where_the_checker_says_so(
    drawn: tuple[FamilyPolicy, dict[str, float]],
) -> None:
    policy, row = drawn
    family = Family.of("drawn", policy)
    columns = {name: np.array([value]) for name, value in row.items()}
    with np.errstate(all="ignore"):
        broken = family.checker.broken(family.checker.matrix(columns, 1))[:, 0]
    assert {each.says: is_broken(policy, each, row) for each in family.limits} == {
        each.says: bool(broken[each.at]) for each in family.limits
    }


@st.composite
def recipes(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw a recipe for each output, which may read inputs and the outputs before it."""
    found: list[dict[str, Any]] = []
    for at, field in enumerate(OUTPUTS):
        source = st.sampled_from((*INPUTS, "outside", *OUTPUTS[:at]))
        low = draw(NUMBERS)
        bounds = {"low": low, "otherwise": low + 1, "high": low + draw(st.sampled_from([1, 8]))}
        found.append(
            draw(
                st.sampled_from(
                    [
                        {"kind": "constant", "value": draw(NUMBERS)},
                        {"kind": "multiple", "of": draw(source), "times": draw(NUMBERS)} | bounds,
                        {
                            "kind": "threshold",
                            "of": draw(source),
                            "over": draw(source),
                            "within": draw(NUMBERS),
                            "beyond": draw(NUMBERS),
                        },
                    ]
                )
            )
            | {"field": field}
        )
    return found


@st.composite
def answered(draw: st.DrawFn) -> tuple[FamilyPolicy, dict[str, float]]:
    """Draw a policy whose fallback reads, and all that it may read."""
    policy = draw(POLICY)
    fallback = FamilyPolicy.model_validate(
        {"inputs": INPUTS, "outputs": OUTPUTS, "fallback": draw(recipes())}
    ).fallback
    policy = policy.model_copy(update={"fallback": fallback})
    return policy, filled(
        draw, (*policy.inputs, *policy.outputs, *policy.context_columns(), "outside")
    )


@given(answered())
@settings(max_examples=60, deadline=None)
def test_a_fallback_answers_what_the_code_that_serves_does(
    drawn: tuple[FamilyPolicy, dict[str, float]],
) -> None:
    policy, given_row = drawn
    family = Family.of("drawn", policy)
    columns = {name: np.array([value]) for name, value in given_row.items()}
    real = Fallback(policy, family.checker).answer(columns, 1)
    terms = answer(
        Arithmetic(rounded=False),
        family,
        {name: floats.number(value) for name, value in given_row.items()},
        frozenset(OUTPUTS),
    )
    assert {name: value_of(terms[name]) for name in OUTPUTS} == {
        name: float(real[name][0]) for name in OUTPUTS
    }


def value_of(term: Number) -> float:
    assert z3.is_true(z3.simplify(term.finite))
    found = z3.simplify(term.real)
    return float(Fraction(found.numerator_as_long(), found.denominator_as_long()))
