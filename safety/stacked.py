"""Which rows of a batch break which limits, for all limits of a kind at once.

Each kind gives an array with a row for each of its limits and a column for each row of the batch.
Whether a limit's condition holds is not asked here.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from safety.arrays import BoolArray, FloatArray
from safety.rules import Allowance, Between, Change, Finite, Never, Ordered, Width

# Of rows of a matrix: a slice, which copies nothing, where it can be.
Places = npt.NDArray[np.intp] | slice


class Stack(Protocol):
    """All limits of one kind."""

    def broken(self, matrix: FloatArray) -> BoolArray: ...


class FiniteStack:
    def __init__(self, measures: Sequence[Finite]) -> None:
        self._at = _rows([each.at for each in measures])

    def broken(self, matrix: FloatArray) -> BoolArray:
        finite: BoolArray = np.isfinite(_picked(matrix, self._at))
        return ~finite


class BetweenStack:
    """What is no number is the finite rule's to report, not these'."""

    def __init__(self, measures: Sequence[Between]) -> None:
        self._at = _rows([each.at for each in measures])
        self._low = _upright([each.low for each in measures])
        self._high = _upright([each.high for each in measures])

    def broken(self, matrix: FloatArray) -> BoolArray:
        values = _picked(matrix, self._at)
        outside: BoolArray = (values < self._low) | (values > self._high)
        return outside


class OrderedStack:
    """An operand that is not a number breaks these."""

    def __init__(self, measures: Sequence[Ordered]) -> None:
        self._lesser = _rows([each.lesser_at for each in measures])
        self._greater = _rows([each.greater_at for each in measures])
        self._factor = _upright([each.factor for each in measures])
        self._margin = _upright([each.margin for each in measures])

    def broken(self, matrix: FloatArray) -> BoolArray:
        ceiling = _picked(matrix, self._greater) * self._factor + self._margin
        kept: BoolArray = _picked(matrix, self._lesser) <= ceiling
        return ~kept


class WidthStack:
    """An operand that is not a number breaks these."""

    def __init__(self, measures: Sequence[Width]) -> None:
        self._prediction = _rows([each.prediction_at for each in measures])
        self._lower = _rows([each.lower_at for each in measures])
        self._upper = _rows([each.upper_at for each in measures])
        self._relative = _upright([each.max_relative for each in measures])
        self._floor = _upright([each.floor for each in measures])

    def broken(self, matrix: FloatArray) -> BoolArray:
        size = np.maximum(np.abs(_picked(matrix, self._prediction)), self._floor)
        width = _picked(matrix, self._upper) - _picked(matrix, self._lower)
        kept: BoolArray = width <= self._relative * size
        return ~kept


class ChangeStack:
    """Without a last answer none of these is broken."""

    def __init__(self, measures: Sequence[Change]) -> None:
        self._at = _rows([each.at for each in measures])
        self._last = _rows([each.last_at for each in measures])
        self._age = _rows([each.age_at for each in measures])
        self._rise = _Room([each.rise for each in measures])
        self._fall = _Room([each.fall for each in measures])

    def broken(self, matrix: FloatArray) -> BoolArray:
        values, last = _picked(matrix, self._at), _picked(matrix, self._last)
        age = np.maximum(_picked(matrix, self._age), 0)
        moved: BoolArray = (self._rise.known & (values > last + self._rise.of(last, age))) | (
            self._fall.known & (values < last - self._fall.of(last, age))
        )
        return moved


class _Room:
    """The allowances of many limits to one side; where one is open, whatever it gives is unused."""

    def __init__(self, allowances: Sequence[Allowance | None]) -> None:
        told = [each or Allowance(0.0, 0.0, np.inf) for each in allowances]
        known = [each is not None for each in allowances]
        self.known = np.array(known, dtype=np.bool_).reshape(-1, 1)
        self._amount = _upright([each.amount for each in told])
        self._share = _upright([each.share for each in told])
        self._per = _upright([each.per_seconds for each in told])
        self._by_age = np.isfinite(self._per)

    def of(self, last: FloatArray, age: FloatArray) -> FloatArray:
        amount = np.where(self._by_age, self._amount * age / self._per, self._amount)
        room: FloatArray = amount + self._share * np.abs(last)
        return room


class NeverStack:
    """These are broken by every row, for as long as their condition holds."""

    def __init__(self, measures: Sequence[Never]) -> None:
        self._size = len(measures)

    def broken(self, matrix: FloatArray) -> BoolArray:
        return np.ones((self._size, matrix.shape[1]), dtype=np.bool_)


def _upright(values: Sequence[float]) -> FloatArray:
    """Lay one number for each limit along the first axis."""
    return np.array(values, dtype=np.float64).reshape(-1, 1)


def _picked(matrix: FloatArray, at: Places) -> FloatArray:
    """Give these rows of a matrix; an index in brackets would take twice as long to copy them."""
    return matrix[at] if isinstance(at, slice) else matrix.take(at, axis=0)


def _rows(places: Sequence[int]) -> Places:
    """Give an index of these rows of a matrix."""
    first = places[0]
    if list(places) == list(range(first, first + len(places))):
        return slice(first, first + len(places))
    return np.array(places, dtype=np.intp)
