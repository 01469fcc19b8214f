"""Rounding keeps the order of numbers: stated where an example that was found goes against it.

To state it of every two results at once would be a thousand facts, of which a proof needs a few.
"""

from collections.abc import Mapping
from fractions import Fraction

import z3

from safety.proofs.floats import Arithmetic, Number, constant_of

MOST = 40


def broken_orders(
    arithmetic: Arithmetic, columns: Mapping[str, Number], model: z3.ModelRef
) -> list[z3.BoolRef]:
    """State the order of results that a model has in the wrong order."""
    results = list(arithmetic.points.values())
    # What is a float already is its own rounding.
    floats = [(each.real, each.real) for each in columns.values()]
    floats += [(constant_of(each), constant_of(each)) for each in arithmetic.constants]
    found: list[z3.BoolRef] = []
    valued = [(exact, real, _of(model, exact), _of(model, real)) for exact, real in results]
    others = valued + [(exact, real, _of(model, exact), _of(model, real)) for exact, real in floats]
    for exact, real, exact_is, real_is in valued:
        for other, rounded, other_is, rounded_is in others:
            if exact_is <= other_is and real_is > rounded_is:
                found.append(z3.Implies(exact <= other, real <= rounded))
            if exact_is >= other_is and real_is < rounded_is:
                found.append(z3.Implies(exact >= other, real >= rounded))
            if len(found) >= MOST:
                return found
    return found


def _of(model: z3.ModelRef, term: z3.ArithRef) -> Fraction:
    found = model.eval(term, model_completion=True)
    return Fraction(found.numerator_as_long(), found.denominator_as_long())
