"""What a broken limit reports of each row: its value, and where that would have had to stop.

Each rule reads a matrix whose rows are the columns of the policy. Which rows of the batch broke it
is found for all rules of a kind together, in safety/stacked.py.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from safety.arrays import EPSILON, FloatArray
from safety.limits import Level, Repair


class Measure(Protocol):
    """How one limit sees a batch; the arrays it gives have one value a row of the batch."""

    def value(self, columns: FloatArray) -> FloatArray: ...
    def bound(self, columns: FloatArray) -> FloatArray:
        """Where the value would have had to stop; NaN when there is no such number."""
        ...


@dataclass(frozen=True, slots=True)
class Rule:
    """One limit, ready for any batch."""

    name: str
    field: str | None  # the column that is answered for, and is moved when the rule clamps
    level: Level
    message: str
    repair: Repair
    measure: Measure

    def value(self, columns: FloatArray) -> FloatArray:
        return self.measure.value(columns)

    def bound(self, columns: FloatArray) -> FloatArray:
        return self.measure.bound(columns)


@dataclass(frozen=True, slots=True)
class Finite:
    """A number must be there at all."""

    at: int

    def value(self, columns: FloatArray) -> FloatArray:
        return _column(columns, self.at)

    def bound(self, columns: FloatArray) -> FloatArray:
        return np.full(columns.shape[1], np.nan)


@dataclass(frozen=True, slots=True)
class Between:
    """A field between two bounds."""

    at: int
    low: float
    high: float
    whole: bool

    def value(self, columns: FloatArray) -> FloatArray:
        return _column(columns, self.at)

    def bound(self, columns: FloatArray) -> FloatArray:
        low, high = (
            (np.ceil(self.low), np.floor(self.high)) if self.whole else (self.low, self.high)
        )
        return np.where(_column(columns, self.at) < self.low, low, high)


@dataclass(frozen=True, slots=True)
class Ordered:
    """lesser <= factor * greater + margin."""

    lesser_at: int
    greater_at: int
    factor: float
    margin: float
    on_lesser: bool  # which side is answered for
    whole: bool

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
class Width:
    """An interval no wider than a multiple of its prediction; its value is the width."""

    prediction_at: int
    lower_at: int
    upper_at: int
    max_relative: float
    floor: float

    def value(self, columns: FloatArray) -> FloatArray:
        width: FloatArray = _column(columns, self.upper_at) - _column(columns, self.lower_at)
        return width

    def bound(self, columns: FloatArray) -> FloatArray:
        size = np.maximum(np.abs(_column(columns, self.prediction_at)), self.floor)
        widest: FloatArray = self.max_relative * size
        return widest


@dataclass(frozen=True, slots=True)
class Allowance:
    """How far a field may move to one side: an amount, for each so many seconds, and a share."""

    amount: float
    share: float
    per_seconds: float  # infinite where the amount is for any time

    def of(self, last: FloatArray, age: FloatArray) -> FloatArray:
        by_age = np.isfinite(self.per_seconds)
        amount = self.amount * np.maximum(age, 0) / self.per_seconds if by_age else self.amount
        room: FloatArray = amount + self.share * np.abs(last)
        return room


@dataclass(frozen=True, slots=True)
class Change:
    """A field near what the entity was last answered; a side that is None is open."""

    at: int
    last_at: int
    age_at: int
    rise: Allowance | None
    fall: Allowance | None
    whole: bool

    def value(self, columns: FloatArray) -> FloatArray:
        return _column(columns, self.at)

    def bound(self, columns: FloatArray) -> FloatArray:
        last, age = _column(columns, self.last_at), _column(columns, self.age_at)
        beyond = np.full(len(last), np.inf)
        highest = beyond if self.rise is None else last + self.rise.of(last, age)
        lowest = -beyond if self.fall is None else last - self.fall.of(last, age)
        if self.whole:
            highest, lowest = np.floor(highest), np.ceil(lowest)
        return np.where(_column(columns, self.at) > highest, highest, lowest)


@dataclass(frozen=True, slots=True)
class Never:
    """Nothing is measured: the rule's condition says it all."""

    def value(self, columns: FloatArray) -> FloatArray:
        return np.full(columns.shape[1], np.nan)

    def bound(self, columns: FloatArray) -> FloatArray:
        return np.full(columns.shape[1], np.nan)


def _column(columns: FloatArray, at: int) -> FloatArray:
    column: FloatArray = columns[at]
    return column
