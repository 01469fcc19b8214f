"""The rows over which questions are asked: any inputs, and any finite answer."""

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import z3

from safety.proofs.floats import Arithmetic, Number, at_most, constant_of, either
from safety.proofs.limits_held import Family
from safety.proofs.rule_terms import Row
from safety.rules import LARGEST

_LARGEST = constant_of(Fraction(LARGEST))


def finite(name: str) -> Number:
    return Number(z3.Real(name))


def anything(name: str) -> Number:
    """Give a column that may be missing or infinite."""
    flags = (z3.Bool(f"{name}:{kind}") for kind in ("missing", "above", "below"))
    return Number(z3.Real(name), *flags)


def facts_of(row: Row) -> list[z3.BoolRef]:
    """Say what holds of all floats: they have a largest, and are one thing at a time."""
    found = []
    for each in row.values():
        found += [each.real <= _LARGEST, each.real >= -_LARGEST]
        if not z3.is_false(each.nan):
            found.append(z3.AtMost(each.nan, each.above, each.below, 1))
    return found


def in_order(row: Row, pairs: Iterable[tuple[str, str]]) -> list[z3.BoolRef]:
    """Say that the first of each pair is at most the second, where both are there."""
    return [
        either(row[lesser].nan, row[greater].nan, at_most(row[lesser], row[greater]))
        for lesser, greater in pairs
        if lesser in row and greater in row
    ]


def judged_row(family: Family, *, numbers_only: bool = False) -> dict[str, Number]:
    """Give a row of the family's inputs and outputs; an output that is no number never leaves."""
    policy, given = family.policy, finite if numbers_only else anything
    return {name: given(name) for name in policy.inputs} | {
        name: finite(name) for name in policy.outputs
    }


def arithmetic_knows(arithmetic: Arithmetic, *families: Family) -> None:
    """Tell the arithmetic which numbers the policies hold: each is its own rounding."""
    for family in families:
        arithmetic.constants |= set(_numbers(family.policy.model_dump()))


def _numbers(value: Any) -> Iterable[Fraction]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from _numbers(each)
    elif isinstance(value, float):
        yield Fraction(value)
