"""Judges a batch of answers against the policy of its family."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from safety.arrays import BoolArray, FloatArray
from safety.broken import BrokenRules
from safety.errors import BatchShapeError
from safety.limits import LEVELS, Level
from safety.policy import FamilyPolicy
from safety.rule_book import rule_book
from safety.rules import Rule

Columns = Mapping[str, FloatArray]


class Violation(NamedTuple):
    """One limit that one row broke."""

    rule: str
    field: str | None  # None where the rule is about no one field
    value: float | None  # None where the value is not a number, so that JSON can carry it
    bound: float | None
    level: Level
    message: str


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The judgement on a batch, a level for each row."""

    levels: npt.NDArray[np.int8]
    violations: Mapping[int, tuple[Violation, ...]]  # only rows that broke something
    broken: BoolArray | None  # a row a rule, a column a row of the batch; None: nothing broken

    def level(self, row: int) -> Level:
        return LEVELS[int(self.levels[row])]


class Checker:
    """Compiled once from a family's policy; holds no state, so any number of calls may share it."""

    def __init__(self, policy: FamilyPolicy) -> None:
        book = rule_book(policy)
        self.fields = book.fields
        self.rules: tuple[Rule, ...] = book.rules
        self._book = BrokenRules(book, policy)
        self._codes = np.array([[rule.level.code] for rule in self.rules], dtype=np.int8)
        self._outputs_there = [
            at for at, field in enumerate(book.fields) if field in policy.outputs
        ]
        numbers = len(book.finite) + len(book.ranges)
        self._comparisons = slice(numbers, numbers + len(book.relations) + len(book.widths))

    def check(self, columns: Columns, n: int) -> Verdicts:
        """Judge n rows; a column that is absent counts as one that holds no numbers."""
        if n == 1 and self._book.none_of_one(columns):
            return _all_safe(n)
        # Infinities are judged, not computed with: what numpy would warn of is caught as a breach.
        with np.errstate(over="ignore", invalid="ignore"):
            matrix = self.matrix(columns, n)
            if self._book.none(matrix):
                return _all_safe(n)
            return self._verdicts(matrix, self.reported(self.broken(matrix)))

    def broken(self, matrix: FloatArray) -> BoolArray:
        """Say which rules each row breaks: a row a rule, a column a row of the batch."""
        return self._book.broken(matrix)

    def reported(self, broken: BoolArray) -> BoolArray:
        """Leave out what follows from a number that is not there; its absence is reported."""
        unreadable = broken[self._outputs_there].any(axis=0)
        if unreadable.any():
            broken[self._comparisons] &= ~unreadable
        return broken

    def matrix(self, columns: Columns, n: int) -> npt.NDArray[np.float64]:
        """Lay the columns out in the order in which the rules read them."""
        found = self._found(columns)
        if found is not None and list(map(len, found)) == [n] * len(found):
            # One call for all of them, where a row at a time takes one for each.
            return np.concatenate(found, dtype=np.float64).reshape(len(found), n)
        matrix = np.empty((len(self.fields), n))
        for at, field in enumerate(self.fields):
            column = columns.get(field)
            if column is None:
                matrix[at] = np.nan
            elif len(column) != n:
                raise BatchShapeError(
                    f"The column {field!r} has {len(column)} values for {n} rows."
                )
            else:
                matrix[at] = column
        return matrix

    def _found(self, columns: Columns) -> list[FloatArray] | None:
        """Give the columns in their order; None where one of them is absent, or there are none."""
        try:
            return [columns[field] for field in self.fields] or None
        except KeyError:
            return None

    def _verdicts(self, matrix: FloatArray, broken: BoolArray) -> Verdicts:
        hit = np.flatnonzero(broken.any(axis=1)).tolist()
        if not hit:
            return _all_safe(matrix.shape[1])
        levels = (broken * self._codes).max(axis=0)
        found: dict[int, list[Violation]] = {}
        for at in hit:
            rule, rows = self.rules[at], np.flatnonzero(broken[at])
            values, bounds = rule.value(matrix)[rows], rule.bound(matrix)[rows]
            for row, value, bound in zip(
                rows.tolist(), values.tolist(), bounds.tolist(), strict=True
            ):
                found.setdefault(row, []).append(_violation(rule, value, bound))
        return Verdicts(levels, {row: tuple(found[row]) for row in sorted(found)}, broken)


def _all_safe(n: int) -> Verdicts:
    return Verdicts(np.zeros(n, dtype=np.int8), {}, None)


def _violation(rule: Rule, value: float, bound: float) -> Violation:
    return Violation(
        rule.name, rule.field, _number(value), _number(bound), rule.level, rule.message
    )


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
