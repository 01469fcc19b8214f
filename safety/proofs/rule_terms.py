"""Limits as terms: when a row breaks one, and where a clamp would move it."""

from collections.abc import Mapping

import numpy as np
import z3

from safety.limits import Range, Relation, WidthLimit
from safety.policy import FamilyPolicy
from safety.proofs.floats import (
    Arithmetic,
    Number,
    at_most,
    choose,
    either,
    number,
    over,
    round_down,
    round_up,
    size_at_least,
    under,
)
from safety.proofs.limits_held import Held
from safety.rules import EPSILON, LARGEST

Row = Mapping[str, Number]


def breaks(arithmetic: Arithmetic, held: Held, row: Row) -> z3.BoolRef:
    """Say that a row breaks a limit."""
    match held.limit:
        case Range() as limit:
            return _outside(limit, row[limit.field])
        case Relation() as limit:
            return z3.Not(at_most(row[limit.lesser], _ceiling(arithmetic, limit, row)))
        case WidthLimit() as limit:
            width = arithmetic.minus(row[limit.upper], row[limit.lower])
            size = size_at_least(row[limit.prediction], limit.floor)
            return z3.Not(at_most(width, arithmetic.times(limit.max_relative, size)))
        case None:
            return z3.Not(row[held.rule.field].finite)


def _outside(limit: Range, value: Number) -> z3.BoolRef:
    if limit.low is None:
        too_low = value.below
    elif limit.above_low:
        too_low = at_most(value, number(limit.low))
    else:
        too_low = under(value, limit.low)
    too_high = value.above if limit.high is None else over(value, limit.high)
    return either(too_low, too_high)


def _ceiling(arithmetic: Arithmetic, limit: Relation, row: Row) -> Number:
    return arithmetic.plus(arithmetic.times(limit.factor, row[limit.greater]), limit.margin)


def bound(arithmetic: Arithmetic, policy: FamilyPolicy, held: Held, row: Row) -> Number:
    """Say where a clamp moves the field of a limit that is broken."""
    limit, whole = held.limit, held.rule.field in policy.whole
    if isinstance(limit, Range):
        low, high = _bounds(limit, whole=whole)
        return choose(under(row[limit.field], low), number(low), number(high))
    if not isinstance(limit, Relation):
        raise TypeError(f"{held.says} has no field that could be moved")
    if held.rule.field == limit.lesser:
        ceiling = _ceiling(arithmetic, limit, row)
        return round_down(ceiling) if whole else ceiling
    return _ground(arithmetic, limit, row[limit.lesser], whole=whole)


def _bounds(limit: Range, *, whole: bool) -> tuple[float, float]:
    low = -LARGEST if limit.low is None else limit.low
    low = float(np.nextafter(low, np.inf)) if limit.above_low else low
    high = LARGEST if limit.high is None else limit.high
    return (float(np.ceil(low)), float(np.floor(high))) if whole else (low, high)


def _ground(arithmetic: Arithmetic, limit: Relation, lesser: Number, *, whole: bool) -> Number:
    least = arithmetic.plus(lesser, -limit.margin)
    if whole:
        return round_up(arithmetic.divided(least, limit.factor))
    size = arithmetic.plus(size_at_least(lesser, 0.0), abs(limit.margin))
    nudge = arithmetic.times(4 * EPSILON, size)
    return arithmetic.divided(arithmetic.add(least, nudge), limit.factor)

