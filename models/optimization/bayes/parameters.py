"""One dimension of a space: what a client names it by, and where it lies between 0 and 1.

An integer owns a cell of equal size (in logarithms, where asked) and stands at its middle, so that
rounding there and back is one rule. A choice is a column of its own: 1 where it is taken.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.errors import SpaceError
from models.protocols import FloatArray

Value = float | int | str | bool
MOST_CHOICES = 100
LARGEST_INTEGER = 2**53
_WIDEST_FLOAT = 1e300


@dataclass(frozen=True, slots=True)
class Float:
    low: float
    high: float
    log: bool = False
    width = 1

    def __post_init__(self) -> None:
        _check_ends(self.low, self.high, self.log)
        if max(abs(self.low), abs(self.high)) > _WIDEST_FLOAT:
            raise SpaceError(f"ends {self.low} and {self.high}: at most {_WIDEST_FLOAT:g} in size")

    def columns(self, value: Any) -> list[float]:
        number = _number(value)
        if not self.low <= number <= self.high:
            raise SpaceError(f"{value!r} is not between {self.low} and {self.high}")
        return [_share(number, self.low, self.high, self.log)]

    def value(self, columns: FloatArray) -> float:
        share = float(columns[0])
        return min(max(_between(share, self.low, self.high, self.log), self.low), self.high)

    def document(self) -> dict[str, Any]:
        return {"type": "float", "low": self.low, "high": self.high, "log": self.log}


@dataclass(frozen=True, slots=True)
class Integer:
    low: int
    high: int
    log: bool = False
    width = 1

    def __post_init__(self) -> None:
        whole = all(isinstance(end, int) and not isinstance(end, bool) for end in self._ends)
        if not whole or max(abs(self.low), abs(self.high)) > LARGEST_INTEGER:
            raise SpaceError(f"ends {self.low!r} and {self.high!r}: whole numbers, at most 2**53")
        _check_ends(self.low, self.high, self.log)

    @property
    def _ends(self) -> tuple[int, int]:
        return self.low, self.high

    @property
    def _cells(self) -> tuple[float, float]:
        return self.low - 0.5, self.high + 0.5

    def columns(self, value: Any) -> list[float]:
        number = _number(value)
        if number != int(number) or not self.low <= number <= self.high:
            raise SpaceError(f"{value!r} is not a whole number from {self.low} to {self.high}")
        return [_share(number, *self._cells, self.log)]

    def value(self, columns: FloatArray) -> int:
        number = _between(float(columns[0]), *self._cells, self.log)
        return min(max(math.floor(number + 0.5), self.low), self.high)

    def document(self) -> dict[str, Any]:
        return {"type": "int", "low": self.low, "high": self.high, "log": self.log}


@dataclass(frozen=True, slots=True)
class Categorical:
    choices: tuple[Value, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.choices) <= MOST_CHOICES:
            raise SpaceError(f"{len(self.choices)} choices: give 1 to {MOST_CHOICES}")
        if not all(isinstance(each, str | int | float | bool) for each in self.choices):
            raise SpaceError("choices must be words, numbers, true or false")
        if not all(math.isfinite(each) for each in self.choices if isinstance(each, float)):
            raise SpaceError("a choice is not finite")
        if len({(type(each), each) for each in self.choices}) < len(self.choices):
            raise SpaceError(f"choices {list(self.choices)}: one is given twice")

    @property
    def width(self) -> int:
        return len(self.choices)

    def columns(self, value: Any) -> list[float]:
        taken = [type(each) is type(value) and each == value for each in self.choices]
        if not any(taken):
            raise SpaceError(f"{value!r} is not one of {list(self.choices)}")
        return [float(each) for each in taken]

    def value(self, columns: FloatArray) -> Value:
        return self.choices[int(np.argmax(columns))]

    def document(self) -> dict[str, Any]:
        return {"type": "categorical", "choices": list(self.choices)}


Parameter = Float | Integer | Categorical


def _check_ends(low: float, high: float, log: bool) -> None:
    if not (math.isfinite(_number(low)) and math.isfinite(_number(high))):
        raise SpaceError(f"ends {low} and {high}: both must be finite")
    if low >= high:
        raise SpaceError(f"low {low} is not under high {high}")
    if log and low <= 0:
        raise SpaceError(f"low {low}: a logarithmic scale needs a low end over 0")


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SpaceError(f"{value!r} is not a number")
    return float(value)


def _share(number: float, low: float, high: float, log: bool) -> float:
    if log:
        number, low, high = math.log(number), math.log(low), math.log(high)
    return min(max((number - low) / (high - low), 0.0), 1.0)


def _between(share: float, low: float, high: float, log: bool) -> float:
    if log:
        return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    return low + share * (high - low)
