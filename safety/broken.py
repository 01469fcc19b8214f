"""Finds which rules each row of a batch breaks: all of a kind at once, then their conditions."""

from collections.abc import Sequence
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
        self._stacks = tuple(stack for stack, rules in _stacks(book) if rules)
        at = {field: position for position, field in enumerate(book.fields)}
        self._conditional = np.array(list(book.conditions), dtype=np.intp)
        wanted = list(book.conditions.values())
        self._conditions = Conditions(wanted, at, policy.right_of) if wanted else None
        self._box = _Box(book)

    def none(self, matrix: FloatArray) -> bool:
        """Say in a few numpy calls that nothing at all is broken, where that can be told so."""
        return self._box.holds(matrix)

    def broken(self, matrix: FloatArray) -> BoolArray:
        """Give a row for each rule and a column for each row of the batch."""
        found = np.concatenate([stack.broken(matrix) for stack in self._stacks])
        if self._conditions is not None and found[self._conditional].any():
            found[self._conditional] &= self._conditions.hold(matrix)
        return found


class _Box:
    """All unconditional ranges of each field folded into its tightest, beside the other kinds.

    The box ends at the largest number, so that NaN and infinities fall outside it too.
    """

    def __init__(self, book: RuleBook) -> None:
        self._size = len(book.finite)
        self._low = np.full((self._size, 1), -LARGEST)
        self._high = np.full((self._size, 1), LARGEST)
        apart: list[Between] = []
        for place, each in enumerate(_measures(book.ranges, Between), self._size):
            if place in book.conditions:
                apart.append(each)
            else:
                self._low[each.at] = max(self._low[each.at, 0], each.low)
                self._high[each.at] = min(self._high[each.at, 0], each.high)
        others: tuple[tuple[Stack, Sequence[Between | Rule]], ...] = (
            (BetweenStack(apart), apart),
            *_stacks(book)[2:],
        )
        self._others = tuple(stack for stack, rules in others if rules)

    def holds(self, matrix: FloatArray) -> bool:
        values = matrix[: self._size]
        inside = (values >= self._low) & (values <= self._high)
        return bool(inside.all()) and not any(stack.broken(matrix).any() for stack in self._others)


def _stacks(book: RuleBook) -> tuple[tuple[Stack, Sequence[Rule]], ...]:
    """Stack the rules of each kind, in the order of the book."""
    return (
        (FiniteStack(_measures(book.finite, Finite)), book.finite),
        (BetweenStack(_measures(book.ranges, Between)), book.ranges),
        (OrderedStack(_measures(book.relations, Ordered)), book.relations),
        (WidthStack(_measures(book.widths, Width)), book.widths),
        (ChangeStack(_measures(book.changes, Change)), book.changes),
        (NeverStack(_measures(book.forbidden, Never)), book.forbidden),
    )


def _measures(rules: Sequence[Rule], kind: type[Kind]) -> list[Kind]:
    return [rule.measure for rule in rules if isinstance(rule.measure, kind)]
