"""Finds which rules each row of a batch breaks: all of a kind at once, then their conditions."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Self, TypeVar

import numpy as np

from safety.applies import Conditions
from safety.arrays import LARGEST, BoolArray, FloatArray, all_of, none_of
from safety.conditions import Comparison, Condition
from safety.one_row import OneRow
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

    def none_of_one(self, columns: Mapping[str, FloatArray]) -> bool:
        """Say the same of a batch of one row, sooner; a no of its is no answer."""
        return self._clean.one_row is not None and self._clean.one_row.is_sure(columns)

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
    so that NaN and infinities fall outside it too. A calm batch lies within a smaller box, in which
    no condition holds that compares a field with a number: it is spared all limits of those.
    """

    def __init__(self, book: RuleBook, policy: FamilyPolicy) -> None:
        self._ranges = _Box(len(book.finite))
        always: list[Rule] = []
        at_times: list[int] = []
        for place, rule in enumerate(book.rules):
            if isinstance(rule.measure, Between) and rule.measure.at < len(book.finite):
                self._ranges.narrow(rule.measure.at, rule.measure.low, rule.measure.high)
            elif place in book.conditions:
                at_times.append(place)
            elif not isinstance(rule.measure, Finite):
                always.append(rule)
        calm = self._ranges.copy()
        restless = [at for at in at_times if not calm.leave_out(book.conditions[at], book.fields)]
        self._calm = calm
        always = _tightest(always)
        self._always = _stacks(always)
        # A calm row is spared the conditions, unless some of them are not that simple.
        self.one_row = (
            None
            if restless
            else OneRow.of(book.fields, calm.bounds(), [rule.measure for rule in always])
        )
        self._restless = _AtTimes(book, restless, policy)
        self._at_times = _AtTimes(book, at_times, policy)

    def is_sure(self, matrix: FloatArray) -> bool:
        calm = self._calm.holds(matrix)
        if not (calm or self._ranges.holds(matrix)):
            return False
        for stack in self._always:
            if not none_of(stack.broken(matrix)):
                return False
        return (self._restless if calm else self._at_times).are_kept(matrix)


class _Box:
    """Two bounds for each of the first columns."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._low = np.full((size, 1), -LARGEST)
        self._high = np.full((size, 1), LARGEST)

    def narrow(self, at: int, low: float, high: float) -> None:
        self._low[at] = max(self._low[at, 0], low)
        self._high[at] = min(self._high[at, 0], high)

    def bounds(self) -> list[tuple[float, float]]:
        """Give the bounds of each column."""
        return list(zip(self._low[:, 0].tolist(), self._high[:, 0].tolist(), strict=True))

    def copy(self) -> Self:
        """Give a box of its own with the same bounds."""
        return deepcopy(self)

    def leave_out(self, condition: Condition, fields: Sequence[str]) -> bool:
        """Narrow the box to where a condition does not hold, if it is as simple as that."""
        if not isinstance(condition, Comparison) or condition.left not in fields[: self._size]:
            return False
        right = condition.right
        if isinstance(right, str) or condition.op in ("==", "!="):
            return False
        at = fields.index(condition.left)
        match condition.op:
            case ">":
                self.narrow(at, -LARGEST, right)
            case ">=":
                self.narrow(at, -LARGEST, float(np.nextafter(right, -np.inf)))
            case "<":
                self.narrow(at, right, LARGEST)
            case "<=":
                self.narrow(at, float(np.nextafter(right, np.inf)), LARGEST)
        return True

    def holds(self, matrix: FloatArray) -> bool:
        values = matrix[: self._size]
        return all_of(values >= self._low) and all_of(values <= self._high)


class _AtTimes:
    """Some rules with conditions; those are looked at first, since they seldom hold."""

    def __init__(self, book: RuleBook, places: Sequence[int], policy: FamilyPolicy) -> None:
        self._stacks = _stacks([book.rules[place] for place in places])
        self._conditions = _conditions(book, places, policy)

    def are_kept(self, matrix: FloatArray) -> bool:
        if self._conditions is None:
            return True
        hold = self._conditions.hold(matrix)
        if none_of(hold):
            return True
        found = np.concatenate([stack.broken(matrix) for stack in self._stacks])
        return none_of(found & hold)


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
