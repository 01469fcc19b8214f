"""Limits as terms: when a row breaks one, and where a clamp would move it."""

from collections.abc import Mapping

import numpy as np
import z3

from safety.arrays import EPSILON, LARGEST
from safety.columns import LAST_AGE, last
from safety.conditions import AllOf, Comparison, Condition
from safety.limits import ChangeLimit, Forbidden, Limit, Range, Relation, WidthLimit
from safety.policy import FamilyPolicy
from safety.proofs.floats import (
    NO,
    Arithmetic,
    Number,
    at_least,
    at_most,
    choose,
    either,
    less_than,
    number,
    over,
    round_down,
    round_up,
    size_of,
    under,
)
from safety.proofs.limits_held import Held

Row = Mapping[str, Number]


def breaks(arithmetic: Arithmetic, policy: FamilyPolicy, held: Held, row: Row) -> z3.BoolRef:
    """Say that a row breaks a limit."""
    limit = held.limit
    if limit is None:
        return z3.Not(z3.And(*(row[name].finite for name in held.columns)))
    broken = _breach(arithmetic, limit, row)
    spoken_of = [
        each for each in (*limit.governs(), *limit.against()) if may_be_missing(policy, each)
    ]
    there = z3.And(*(row[each].finite for each in spoken_of)) if spoken_of else None
    broken = broken if there is None else z3.And(broken, there)
    return broken if limit.when is None else z3.And(broken, holds(policy, limit.when, row))


def is_broken(policy: FamilyPolicy, held: Held, row: Mapping[str, float]) -> bool:
    """Tell whether a row of plain numbers breaks a limit, by its terms."""
    numbers = {name: number(value) for name, value in row.items()}
    return bool(z3.is_true(z3.simplify(breaks(Arithmetic(rounded=False), policy, held, numbers))))


def may_be_missing(policy: FamilyPolicy, column: str) -> bool:
    """Tell whether a row may lack the column, and a limit that is about it then says nothing."""
    return column not in policy.inputs and column not in policy.outputs


def _breach(arithmetic: Arithmetic, limit: Limit, row: Row) -> z3.BoolRef:
    match limit:
        case Range():
            return _outside(limit, row[limit.field])
        case Relation():
            return z3.Not(at_most(row[limit.lesser], _ceiling(arithmetic, limit, row)))
        case WidthLimit():
            width = arithmetic.minus(row[limit.upper], row[limit.lower])
            size = at_least(size_of(row[limit.prediction]), limit.floor)
            return z3.Not(at_most(width, arithmetic.times(limit.max_relative, size)))
        case ChangeLimit():
            least, greatest = _span(arithmetic, limit, row)
            value = row[limit.field]
            too_low = NO if least is None else less_than(value, least)
            too_high = NO if greatest is None else less_than(greatest, value)
            return either(too_low, too_high)
        case Forbidden():
            return z3.BoolVal(val=True)
    raise TypeError(f"{type(limit).__name__} is a limit that has no terms yet")


def holds(policy: FamilyPolicy, condition: Condition, row: Row) -> z3.BoolRef:
    """Say that the condition of a limit holds."""
    if isinstance(condition, Comparison):
        return _compared(policy, condition, row)
    is_all = isinstance(condition, AllOf)
    parts = condition.all if isinstance(condition, AllOf) else condition.any
    terms = [holds(policy, each, row) for each in parts]
    return z3.And(*terms) if is_all else z3.Or(*terms)


def _compared(policy: FamilyPolicy, comparison: Comparison, row: Row) -> z3.BoolRef:
    right = policy.right_of(comparison)
    first = row[comparison.left]
    second = row[right] if isinstance(right, str) else number(right)
    there = z3.And(first.finite, second.finite)
    holds_of_numbers = {
        "<": first.real < second.real,
        "<=": first.real <= second.real,
        ">": first.real > second.real,
        ">=": first.real >= second.real,
        "==": first.real == second.real,
        "!=": first.real != second.real,
    }[comparison.op]
    return z3.If(there, holds_of_numbers, z3.BoolVal(comparison.if_missing))


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


def bound(arithmetic: Arithmetic, policy: FamilyPolicy, limit: Limit, row: Row) -> Number:
    """Say where a clamp moves the field of a limit that is broken."""
    field = moved(policy, limit)
    whole = field in policy.whole
    match limit:
        case Range():
            low, high = _bounds(limit, whole=whole)
            return choose(under(row[field], low), number(low), number(high))
        case Relation(lesser=lesser) if field == lesser:
            ceiling = _ceiling(arithmetic, limit, row)
            return round_down(ceiling) if whole else ceiling
        case Relation():
            return _ground(arithmetic, limit, row[limit.lesser], whole=whole)
        case ChangeLimit():
            return _changed(arithmetic, limit, row, whole=whole)
    raise TypeError(f"{type(limit).__name__} is a limit that moves nothing")


def moved(policy: FamilyPolicy, limit: Limit) -> str:
    """Name the field that a clamp moves: of two, the one that is answered."""
    return next(each for each in limit.governs() if policy.is_answer(each))


def _bounds(limit: Range, *, whole: bool) -> tuple[float, float]:
    low = -LARGEST if limit.low is None else limit.low
    low = float(np.nextafter(low, np.inf)) if limit.above_low else low
    high = LARGEST if limit.high is None else limit.high
    return (float(np.ceil(low)), float(np.floor(high))) if whole else (low, high)


def _ground(arithmetic: Arithmetic, limit: Relation, lesser: Number, *, whole: bool) -> Number:
    least = arithmetic.plus(lesser, -limit.margin)
    if whole:
        return round_up(arithmetic.divided(least, limit.factor))
    size = arithmetic.plus(size_of(lesser), abs(limit.margin))
    nudge = arithmetic.times(4 * EPSILON, size)
    return arithmetic.divided(arithmetic.add(least, nudge), limit.factor)


def _span(
    arithmetic: Arithmetic, limit: ChangeLimit, row: Row
) -> tuple[Number | None, Number | None]:
    """Give the least and the greatest that a change allows; none where a side is open."""
    before = row[last(limit.field)]

    def room(amount: float | None, share: float | None) -> Number | None:
        if amount is None and share is None:
            return None
        if limit.per_seconds is not None:
            by_age = arithmetic.times(amount or 0.0, at_least(row[LAST_AGE], 0.0))
            return arithmetic.divided(by_age, limit.per_seconds)
        return arithmetic.plus(arithmetic.times(share or 0.0, size_of(before)), amount or 0.0)

    fall, rise = room(limit.fall, limit.fall_share), room(limit.rise, limit.rise_share)
    return (
        None if fall is None else arithmetic.minus(before, fall),
        None if rise is None else arithmetic.add(before, rise),
    )


def _changed(arithmetic: Arithmetic, limit: ChangeLimit, row: Row, *, whole: bool) -> Number:
    least, greatest = _span(arithmetic, limit, row)
    lowest = number(0.0) if least is None else round_up(least) if whole else least
    highest = number(0.0) if greatest is None else round_down(greatest) if whole else greatest
    too_high = NO if greatest is None else less_than(highest, row[limit.field])
    return choose(too_high, highest, lowest)
