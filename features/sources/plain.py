"""Columns of what anybody may have sent, as arrays, with a mark at what has the wrong type."""

import math
from collections.abc import Callable, Sequence
from types import NoneType
from typing import Any, NamedTuple, Self

import numpy as np

from features.telemetry.columns import Bools, Floats, Ints

# As long as the configuration allows a name to be.
LONGEST_NAME = 200


class Plain(NamedTuple):
    """A column of numbers; NaN where none is given, or not a right one."""

    values: Floats
    right: Bools  # of a type that was agreed: a number, or None
    missing: Bools  # None

    @property
    def finite(self) -> Bools:
        return np.isfinite(self.values)

    def rows(self, which: Ints) -> Self:
        return type(self)(self.values[which], self.right[which], self.missing[which])


def numbers(column: Sequence[Any]) -> Plain:
    right = _marks(column, _is_number)
    if not right.all():
        column = [value if good else math.nan for value, good in zip(column, right, strict=True)]
    return Plain(_as_floats(column), right, np.array([value is None for value in column], np.bool_))


def names(column: Sequence[Any]) -> Bools:
    """Mark the texts that can name an entity: not empty, not too long, all printable."""
    right = _marks(column, lambda kind: issubclass(kind, str))
    texts = {value for value, good in zip(column, right, strict=True) if good}
    bad = {text for text in texts if not (0 < len(text) <= LONGEST_NAME and text.isprintable())}
    if bad:
        right &= np.array([type(value) is not str or value not in bad for value in column])
    return right


def flags(column: Sequence[Any]) -> tuple[Bools, Bools]:
    """Give which values are booleans, and which are true."""
    right = _marks(column, lambda kind: issubclass(kind, bool | np.bool_))
    true = [bool(value) if good else False for value, good in zip(column, right, strict=True)]
    return right, np.array(true, np.bool_)


def _marks(column: Sequence[Any], is_right: Callable[[type], bool]) -> Bools:
    """Mark the values of a right type; there are few types in a column, and many values."""
    kinds = {kind: is_right(kind) for kind in set(map(type, column))}
    if all(kinds.values()):
        return np.ones(len(column), np.bool_)
    return np.array([kinds[type(value)] for value in column], np.bool_)


def _is_number(kind: type) -> bool:
    if issubclass(kind, bool):
        return False
    return issubclass(kind, int | float | np.integer | np.floating | NoneType)


def _as_floats(column: Sequence[Any]) -> Floats:
    try:
        return np.array(column, dtype=np.float64)
    except OverflowError:  # an integer that no float holds
        return np.array([_as_float(value) for value in column], dtype=np.float64)


def _as_float(value: Any) -> float:
    try:
        return math.nan if value is None else float(value)
    except OverflowError:
        return math.inf
