"""The rows over which questions are asked: any inputs, and any finite answer."""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

import z3

from safety.arrays import LARGEST
from safety.columns import FROZEN, LAST_AGE, MARKET_OPEN, last
from safety.proofs.floats import Arithmetic, Number, at_most, constant_of, either
from safety.proofs.limits_held import Family
from safety.proofs.prover import Posed
from safety.proofs.rule_terms import Row, breaks

# What the calendar's columns can be where they are there: the least and the greatest.
_SPANS: Mapping[str, tuple[float, float]] = {
    "time.hour_of_day": (0, 23),
    "time.day_of_week": (0, 6),
    "time.minutes_to_open": (0, LARGEST),
    "time.minutes_to_close": (0, LARGEST),
    "time.days_to_expiry": (0, LARGEST),
    LAST_AGE: (0, LARGEST),
}
_TRUTHS = (MARKET_OPEN, FROZEN, "time.is_business_hours", "time.is_half_day")
_LARGEST = constant_of(Fraction(LARGEST))


def finite(name: str) -> Number:
    return Number(z3.Real(name))


def anything(name: str) -> Number:
    """Give a column that may be missing or infinite."""
    flags = (z3.Bool(f"{name}:{kind}") for kind in ("missing", "above", "below"))
    return Number(z3.Real(name), *flags)


def judged_row(family: Family, *, known_inputs: bool = False) -> dict[str, Number]:
    """Give a row of all columns that limits read; an output that is no number never leaves."""
    policy = family.policy
    row = {name: finite(name) if known_inputs else anything(name) for name in policy.inputs}
    row |= {name: anything(name) for name in policy.context_columns()}
    return row | {name: finite(name) for name in policy.outputs}


def facts_of(row: Row) -> list[z3.BoolRef]:
    """Say what holds of all rows: floats have a largest, a day has 24 hours."""
    found: list[z3.BoolRef] = []
    for name, each in row.items():
        least, greatest = _span(name)
        found += [each.real >= least, each.real <= greatest]
        if name in _TRUTHS:
            found.append(z3.Or(each.real == 0, each.real == 1))
        if not z3.is_false(each.nan):
            found.append(z3.AtMost(each.nan, each.above, each.below, 1))
        if name in _SPANS or name in _TRUTHS:
            found.append(z3.Not(either(each.above, each.below)))
    return found


def _span(name: str) -> tuple[z3.ArithRef, z3.ArithRef]:
    if name not in _SPANS:
        return -_LARGEST, _LARGEST
    least, greatest = _SPANS[name]
    return constant_of(Fraction(least)), constant_of(Fraction(greatest))


def in_order(row: Row, pairs: Iterable[tuple[str, str]]) -> list[z3.BoolRef]:
    """Say that the first of each pair is at most the second, where both are there."""
    return [
        either(row[lesser].nan, row[greater].nan, at_most(row[lesser], row[greater]))
        for lesser, greater in pairs
        if lesser in row and greater in row
    ]


def last_answer_kept(arithmetic: Arithmetic, family: Family, row: Row) -> list[z3.BoolRef]:
    """Say that what the entity was answered last kept the limits on answers that always hold."""
    found = []
    for held in family.limits:
        before = {field: row[last(field)] for field in held.columns if last(field) in row}
        if held.acts and held.limit and not held.limit.when and held.columns == before.keys():
            there = z3.And(*(each.finite for each in before.values()))
            broken = breaks(arithmetic, family.policy, held, before)
            found.append(z3.Implies(there, z3.Not(broken)))
    return found


def posed(arithmetic: Arithmetic, row: Row, holds: Iterable[z3.BoolRef], *of: Family) -> Posed:
    """Ask for a row of which this holds."""
    # The numbers that a policy holds are floats: each is its own rounding.
    holds = [*facts_of(row), *holds]
    for family in of:
        arithmetic.constants.update(_numbers(family.policy.model_dump()))
        holds += last_answer_kept(arithmetic, family, row)
    return Posed(arithmetic, row, tuple(holds))


def _numbers(value: Any) -> Iterable[Fraction]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from _numbers(each)
    elif isinstance(value, float):
        yield Fraction(value)
