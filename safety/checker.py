"""Judges a batch of answers against the policy of its family."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from safety.errors import BatchShapeError
from safety.limits import LEVELS, Level
from safety.policy import FamilyPolicy
from safety.rules import LARGEST, BoolArray, FloatArray, Rule, rule_book

Columns = Mapping[str, FloatArray]


class Violation(NamedTuple):
    """One limit that one row broke."""

    rule: str
    field: str
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
        self._fields = book.fields
        self.rules: tuple[Rule, ...] = book.rules
        self._codes = np.array([[rule.level.code] for rule in self.rules], dtype=np.int8)
        self._compile_box(book.fields, [(r.at, r.low, r.high) for r in book.ranges])
        self._lesser = np.array([r.lesser_at for r in book.relations], dtype=np.intp)
        self._greater = np.array([r.greater_at for r in book.relations], dtype=np.intp)
        self._factor = np.array([[r.factor] for r in book.relations]).reshape(-1, 1)
        self._margin = np.array([[r.margin] for r in book.relations]).reshape(-1, 1)
        self._widths = book.widths
        self._outputs_there = [
            at for at, field in enumerate(book.fields) if field in policy.outputs
        ]
        self._comparisons = slice(len(book.finite) + len(book.ranges), None)

    def check(self, columns: Columns, n: int) -> Verdicts:
        """Judge n rows; a column that is absent counts as one that holds no numbers."""
        # Infinities are judged, not computed with: what numpy would warn of is caught as a breach.
        with np.errstate(over="ignore", invalid="ignore"):
            matrix = self.matrix(columns, n)
            return _all_safe(n) if self._is_clean(matrix) else self._judge(matrix)

    def _judge(self, matrix: npt.NDArray[np.float64]) -> Verdicts:
        broken = np.array([rule.broken(matrix) for rule in self.rules])
        # A number that is not there breaks every comparison; its absence is what gets reported.
        unreadable = broken[self._outputs_there].any(axis=0)
        broken[self._comparisons] &= ~unreadable
        levels = (broken * self._codes).max(axis=0)
        return Verdicts(levels, self._violations(matrix, broken), broken)

    def _compile_box(self, fields: tuple[str, ...], ranges: list[tuple[int, float, float]]) -> None:
        """Fold all ranges of a field into its tightest one: enough to say that all is well.

        The box ends at the largest number, so that NaN and infinities fall outside it too.
        """
        self._low = np.full((len(fields), 1), -LARGEST)
        self._high = np.full((len(fields), 1), LARGEST)
        for at, low, high in ranges:
            self._low[at] = max(self._low[at, 0], low)
            self._high[at] = min(self._high[at, 0], high)

    def matrix(self, columns: Columns, n: int) -> npt.NDArray[np.float64]:
        matrix = np.empty((len(self._fields), n))
        for at, field in enumerate(self._fields):
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

    def _is_clean(self, matrix: npt.NDArray[np.float64]) -> bool:
        """Say in a few numpy calls whether no rule at all is broken, which is the usual case."""
        inside = (matrix >= self._low) & (matrix <= self._high)
        if not inside.all():
            return False
        ceiling = matrix[self._greater] * self._factor + self._margin
        if not (matrix[self._lesser] <= ceiling).all():
            return False
        return not any(rule.broken(matrix).any() for rule in self._widths)

    def _violations(
        self, matrix: npt.NDArray[np.float64], broken: BoolArray
    ) -> dict[int, tuple[Violation, ...]]:
        found: dict[int, list[Violation]] = {}
        for rule, hits in zip(self.rules, broken, strict=True):
            rows = np.flatnonzero(hits)
            if rows.size:
                values, bounds = rule.value(matrix)[rows], rule.bound(matrix)[rows]
                for row, value, bound in zip(
                    rows.tolist(), values.tolist(), bounds.tolist(), strict=True
                ):
                    found.setdefault(row, []).append(_violation(rule, value, bound))
        return {row: tuple(found[row]) for row in sorted(found)}


def _all_safe(n: int) -> Verdicts:
    return Verdicts(np.zeros(n, dtype=np.int8), {}, None)


def _violation(rule: Rule, value: float, bound: float) -> Violation:
    return Violation(
        rule.name, rule.field, _number(value), _number(bound), rule.level, rule.message
    )


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
