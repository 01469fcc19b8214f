"""Finds which rules each row of a batch breaks: all of a kind at once, then their conditions."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from safety.applies import Conditions
from safety.arrays import LARGEST, BoolArray, FloatArray
from safety.policy import FamilyPolicy
from safety.rule_book import RuleBook
from safety.rules import Between, Change, Finite, Never, Ordered, Rule, Width
from safety.stacked import (
    BetweenStack,
    ChangeStack,
    FiniteStack,
    NeverStack,
    OrderedStack,
    Stack,
    WidthStack,
)

Kind = TypeVar("Kind", Finite, Between, Ordered, Width, Change, Never)


class BrokenRules:
    """Finds which rules of a book each row of a batch breaks."""

    def __init__(self, book: RuleBook, policy: FamilyPolicy) -> None:
        self._stacks = _stacks(book.rules)
        self._conditional = np.array(list(book.conditions), dtype=np.intp)
        self._conditions = _conditions(book, list(book.conditions), policy)
        self._clean = _Clean(book, policy)

    def none(self, matrix: FloatArray) -> bool:
        """Say in a few numpy calls that nothing at all is broken, where that can be told so."""
        return self._clean.is_sure(matrix)

    def broken(self, matrix: FloatArray) -> BoolArray:
        """Give a row for each rule and a column for each row of the batch."""
        found = np.concatenate([stack.broken(matrix) for stack in self._stacks])
        if self._conditions is not None:
            conditional = found[self._conditional]
            if conditional.any():
                found[self._conditional] = conditional & self._conditions.hold(matrix)
        return found


class _Clean:
    """The usual case, told as cheaply as can be: a batch in which nothing is broken.

    All ranges of a field are folded into its tightest, their conditions left out: a batch within
    this box keeps them all, and one outside it may or may not. The box ends at the largest number,
    so that NaN and infinities fall outside it too. Of other limits with conditions those are
    looked at first: they seldom hold.
    """

    def __init__(self, book: RuleBook, policy: FamilyPolicy) -> None:
        self._size = len(book.finite)
        self._low = np.full((self._size, 1), -LARGEST)
        self._high = np.full((self._size, 1), LARGEST)
        always: list[Rule] = []
        at_times: list[int] = []
        for place, rule in enumerate(book.rules[self._size :], self._size):
            measure = rule.measure
            if isinstance(measure, Between) and measure.at < self._size:
                self._low[measure.at] = max(self._low[measure.at, 0], measure.low)
                self._high[measure.at] = min(self._high[measure.at, 0], measure.high)
            elif place in book.conditions:
                at_times.append(place)
            else:
                always.append(rule)
        self._always = _stacks(_tightest(always))
        self._at_times = _stacks([book.rules[place] for place in at_times])
        self._conditions = _conditions(book, at_times, policy)

    def is_sure(self, matrix: FloatArray) -> bool:
        values = matrix[: self._size]
        inside = (values >= self._low) & (values <= self._high)
        if not inside.all() or any(stack.broken(matrix).any() for stack in self._always):
            return False
        if self._conditions is None:
            return True
        hold = self._conditions.hold(matrix)
        if not hold.any():
            return True
        found = np.concatenate([stack.broken(matrix) for stack in self._at_times])
        return not (found & hold).any()


def _tightest(rules: Sequence[Rule]) -> list[Rule]:
    """Leave out the widths that cannot be broken without a tighter one on the same columns."""
    found: dict[object, Rule] = {}
    for rule in rules:
        measure = rule.measure
        if not isinstance(measure, Width):
            found[rule] = rule
            continue
        key = replace(measure, max_relative=0.0)
        other = found.get(key)
        if other is None or measure.max_relative < _relative(other):
            found[key] = rule
    return list(found.values())


def _relative(rule: Rule) -> float:
    return rule.measure.max_relative if isinstance(rule.measure, Width) else 0.0


def _conditions(book: RuleBook, places: Sequence[int], policy: FamilyPolicy) -> Conditions | None:
    """Compile the conditions of the rules at these places, if there are any."""
    if not places:
        return None
    at = {field: position for position, field in enumerate(book.fields)}
    return Conditions([book.conditions[place] for place in places], at, policy.right_of)


def _stacks(rules: Sequence[Rule]) -> tuple[Stack, ...]:
    """Stack the rules by kind, in the order of a book."""
    found: list[Stack] = []
    if finite := _measures(rules, Finite):
        found.append(FiniteStack(finite))
    if between := _measures(rules, Between):
        found.append(BetweenStack(between))
    if ordered := _measures(rules, Ordered):
        found.append(OrderedStack(ordered))
    if widths := _measures(rules, Width):
        found.append(WidthStack(widths))
    if changes := _measures(rules, Change):
        found.append(ChangeStack(changes))
    if never := _measures(rules, Never):
        found.append(NeverStack(never))
    return tuple(found)


def _measures(rules: Sequence[Rule], kind: type[Kind]) -> list[Kind]:
    return [rule.measure for rule in rules if isinstance(rule.measure, kind)]
