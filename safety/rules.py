"""Limits made ready for a batch: each rule judges a matrix whose rows are the fields."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from safety.limits import Level, Range, Relation, Repair, WidthLimit
from safety.policy import FamilyPolicy

FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]

EPSILON = float(np.finfo(np.float64).eps)
LARGEST = float(np.finfo(np.float64).max)


class Rule(Protocol):
    """One limit on one field; the arrays it gives have one value a row of the batch."""

    @property
    def name(self) -> str: ...
    @property
    def field(self) -> str: ...
    @property
    def level(self) -> Level: ...
    @property
    def message(self) -> str: ...
    @property
    def repair(self) -> Repair: ...

    def broken(self, columns: FloatArray) -> BoolArray: ...
    def value(self, columns: FloatArray) -> FloatArray: ...
    def bound(self, columns: FloatArray) -> FloatArray:
        """Where the value would have had to stop; NaN when there is no such number."""
        ...


def _column(columns: FloatArray, at: int) -> FloatArray:
    column: FloatArray = columns[at]
    return column


@dataclass(frozen=True, slots=True)
class FiniteRule:
    """A number must be there at all."""

    field: str
    at: int
    level: Level
    message: str
    repair: Repair = Repair.FALLBACK

    @property
    def name(self) -> str:
        return f"finite:{self.field}"

    def broken(self, columns: FloatArray) -> BoolArray:
        finite: BoolArray = np.isfinite(_column(columns, self.at))
        return ~finite

    def value(self, columns: FloatArray) -> FloatArray:
        return _column(columns, self.at)

    def bound(self, columns: FloatArray) -> FloatArray:
        return np.full(columns.shape[1], np.nan)


@dataclass(frozen=True, slots=True)
class RangeRule:
    """A field between two bounds. NaN is the finite rule's to report, not this one's."""

    field: str
    at: int
    low: float
    high: float
    level: Level
    message: str
    repair: Repair
    whole: bool

    @property
    def name(self) -> str:
        return f"range:{self.field}"

    def broken(self, columns: FloatArray) -> BoolArray:
        column = _column(columns, self.at)
        outside: BoolArray = (column < self.low) | (column > self.high)
        return outside

    def value(self, columns: FloatArray) -> FloatArray:
        return _column(columns, self.at)

    def bound(self, columns: FloatArray) -> FloatArray:
        low, high = (
            (np.ceil(self.low), np.floor(self.high)) if self.whole else (self.low, self.high)
        )
        return np.where(_column(columns, self.at) < self.low, low, high)


@dataclass(frozen=True, slots=True)
class RelationRule:
    """lesser <= factor * greater + margin; an operand that is not a number breaks it."""

    lesser: str
    greater: str
    lesser_at: int
    greater_at: int
    factor: float
    margin: float
    level: Level
    message: str
    repair: Repair
    on_lesser: bool  # which side is answered for, and so is moved when the rule clamps
    whole: bool

    @property
    def name(self) -> str:
        factor = "" if self.factor == 1 else f"{self.factor:g}*"
        margin = "" if self.margin == 0 else f"{self.margin:+g}"
        return f"relation:{self.lesser}<={factor}{self.greater}{margin}"

    @property
    def field(self) -> str:
        return self.lesser if self.on_lesser else self.greater

    def broken(self, columns: FloatArray) -> BoolArray:
        ceiling = self.factor * _column(columns, self.greater_at) + self.margin
        kept: BoolArray = _column(columns, self.lesser_at) <= ceiling
        return ~kept

    def value(self, columns: FloatArray) -> FloatArray:
        return _column(columns, self.lesser_at if self.on_lesser else self.greater_at)

    def bound(self, columns: FloatArray) -> FloatArray:
        if self.on_lesser:
            ceiling: FloatArray = self.factor * _column(columns, self.greater_at) + self.margin
            return np.floor(ceiling) if self.whole else ceiling
        lesser = _column(columns, self.lesser_at)
        if self.whole:
            up: FloatArray = np.ceil((lesser - self.margin) / self.factor)
            return up
        # Rounding in the division must not leave the moved field a hair short of the relation.
        nudge = 4 * EPSILON * (np.abs(lesser) + abs(self.margin))
        ground: FloatArray = (lesser - self.margin + nudge) / self.factor
        return ground


@dataclass(frozen=True, slots=True)
class WidthRule:
    """An interval no wider than a multiple of its prediction; its value is the width."""

    field: str
    prediction_at: int
    lower_at: int
    upper_at: int
    max_relative: float
    floor: float
    level: Level
    message: str
    repair: Repair = Repair.FALLBACK

    @property
    def name(self) -> str:
        return f"width:{self.field}"

    def broken(self, columns: FloatArray) -> BoolArray:
        kept: BoolArray = self.value(columns) <= self.bound(columns)
        return ~kept

    def value(self, columns: FloatArray) -> FloatArray:
        width: FloatArray = _column(columns, self.upper_at) - _column(columns, self.lower_at)
        return width

    def bound(self, columns: FloatArray) -> FloatArray:
        size = np.maximum(np.abs(_column(columns, self.prediction_at)), self.floor)
        widest: FloatArray = self.max_relative * size
        return widest


@dataclass(frozen=True, slots=True)
class RuleBook:
    """The rules of one family and the order of the columns that they read."""

    fields: tuple[str, ...]
    finite: tuple[FiniteRule, ...]
    ranges: tuple[RangeRule, ...]
    relations: tuple[RelationRule, ...]
    widths: tuple[WidthRule, ...]

    @property
    def rules(self) -> tuple[Rule, ...]:
        return (*self.finite, *self.ranges, *self.relations, *self.widths)


def rule_book(policy: FamilyPolicy) -> RuleBook:
    fields = policy.inputs + policy.outputs
    at = {field: position for position, field in enumerate(fields)}
    return RuleBook(
        fields=fields,
        finite=tuple(_finite(policy, field, at) for field in fields),
        ranges=tuple(_range(policy, limit, at) for limit in policy.all_ranges()),
        relations=tuple(_relation(policy, limit, at) for limit in policy.all_relations()),
        widths=tuple(_width(limit, at) for limit in policy.widths),
    )


def _finite(policy: FamilyPolicy, field: str, at: dict[str, int]) -> FiniteRule:
    if field in policy.outputs:
        return FiniteRule(
            field, at[field], Level.CRITICAL, "The model's value is not a finite number."
        )
    return FiniteRule(
        field, at[field], policy.missing_input, "This input is missing and could not be filled in."
    )


def _range(policy: FamilyPolicy, limit: Range, at: dict[str, int]) -> RangeRule:
    low = -LARGEST if limit.low is None else limit.low
    return RangeRule(
        field=limit.field,
        at=at[limit.field],
        # The next number up is the lowest that is strictly above: one comparison serves both kinds.
        low=float(np.nextafter(low, np.inf)) if limit.above_low else low,
        high=LARGEST if limit.high is None else limit.high,
        level=limit.level,
        message=limit.message,
        repair=limit.repair,
        whole=limit.field in policy.whole,
    )


def _relation(policy: FamilyPolicy, limit: Relation, at: dict[str, int]) -> RelationRule:
    on_lesser = limit.lesser in policy.outputs
    return RelationRule(
        lesser=limit.lesser,
        greater=limit.greater,
        lesser_at=at[limit.lesser],
        greater_at=at[limit.greater],
        factor=limit.factor,
        margin=limit.margin,
        level=limit.level,
        message=limit.message,
        repair=limit.repair,
        on_lesser=on_lesser,
        whole=(limit.lesser if on_lesser else limit.greater) in policy.whole,
    )


def _width(limit: WidthLimit, at: dict[str, int]) -> WidthRule:
    return WidthRule(
        field=limit.prediction,
        prediction_at=at[limit.prediction],
        lower_at=at[limit.lower],
        upper_at=at[limit.upper],
        max_relative=limit.max_relative,
        floor=limit.floor,
        level=limit.level,
        message=limit.message,
    )
