"""Conditions made ready for a batch: all of a policy's are evaluated together, by column.

Each distinct comparison, and each distinct "all" or "any", is one row of a table of truths with a
column for each row of the batch. The comparisons come first; every layer above them is one `and`
over the rows it reads, where an "any" is an "all" of opposites.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from safety.arrays import BoolArray, FloatArray
from safety.conditions import AllOf, Comparison, Condition

Places = npt.NDArray[np.intp]
_UFUNCS: Mapping[str, np.ufunc] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}
RightOf = Callable[[Comparison], float | str]


@dataclass(frozen=True, slots=True)
class _Joined:
    """An "all" of rows of the table, or of their opposites and then its own opposite: an "any"."""

    parts: tuple[int, ...]
    opposite: bool


@dataclass(frozen=True, slots=True)
class _Layer:
    """The joined rows whose parts all stand in the layers below."""

    parts: Places
    flip_parts: BoolArray
    starts: Places
    flip: BoolArray
    first: int
    last: int

    def fill(self, truths: BoolArray) -> None:
        read = truths.take(self.parts, axis=0) ^ self.flip_parts
        truths[self.first : self.last] = np.logical_and.reduceat(read, self.starts) ^ self.flip


class Conditions:
    """The conditions of some rules, each asked once however many rules share it."""

    def __init__(
        self, wanted: Sequence[Condition], at: Mapping[str, int], right_of: RightOf
    ) -> None:
        table = _Table(right_of)
        roots = [table.row(condition) for condition in wanted]
        order = table.in_layers()
        self.roots: Places = np.array([order.place[root] for root in roots], dtype=np.intp)
        self._layers = order.layers
        self._size = len(table.rows)
        self._compile(order.comparisons, at, right_of)

    def hold(self, matrix: FloatArray) -> BoolArray:
        """Say of each wanted condition in which rows of the batch it holds."""
        truths = np.empty((self._size, matrix.shape[1]), dtype=np.bool_)
        self._compare(matrix, truths)
        for layer in self._layers:
            layer.fill(truths)
        held: BoolArray = truths.take(self.roots, axis=0)
        return held

    def _compile(
        self, compared: Sequence[Comparison], at: Mapping[str, int], right_of: RightOf
    ) -> None:
        """Lay the comparisons out as columns: first those with a number, and by their operators."""
        rights = [right_of(each) for each in compared]
        self._left = np.array([at[each.left] for each in compared], dtype=np.intp)
        numbers = [right for right in rights if not isinstance(right, str)]
        self._numbers = np.array(numbers, dtype=np.float64).reshape(-1, 1)
        names = [right for right in rights if isinstance(right, str)]
        self._right = np.array([at[name] for name in names], dtype=np.intp)
        self._runs = tuple(_runs([each.op for each in compared], len(numbers)))
        missing = [each.if_missing for each in compared]
        self._if_missing = np.array(missing, dtype=np.bool_).reshape(-1, 1)

    def _compare(self, matrix: FloatArray, truths: BoolArray) -> None:
        left = matrix.take(self._left, axis=0)
        there = np.isfinite(left)
        numbers = len(self._numbers)
        right = matrix.take(self._right, axis=0)
        if len(right):
            there[numbers:] &= np.isfinite(right)
        for compare, first, last in self._runs:
            with_numbers = first < numbers
            compared = (
                self._numbers[first:last]
                if with_numbers
                else right[first - numbers : last - numbers]
            )
            compare(left[first:last], compared, out=truths[first:last])
        if not there.all():
            truths[: len(left)] = np.where(there, truths[: len(left)], self._if_missing)


def _runs(operators: Sequence[str], numbers: int) -> Iterator[tuple[np.ufunc, int, int]]:
    """Give the runs of equal operators, none of them on both sides of the last number."""
    first = 0
    for last in range(1, len(operators) + 1):
        if last in (len(operators), numbers) or operators[last] != operators[first]:
            yield _UFUNCS[operators[first]], first, last
            first = last


@dataclass(frozen=True, slots=True)
class _Order:
    """The table's rows in the order in which they are evaluated."""

    comparisons: tuple[Comparison, ...]
    layers: tuple[_Layer, ...]
    place: Mapping[int, int]


class _Table:
    """Collects distinct comparisons and joined rows while a policy is compiled."""

    def __init__(self, right_of: RightOf) -> None:
        self._right_of = right_of
        self.rows: list[Comparison | _Joined] = []
        self._known: dict[Comparison | _Joined, int] = {}
        self._heights: list[int] = []

    def row(self, condition: Condition) -> int:
        """Give the row of a condition, which may be there already."""
        if isinstance(condition, Comparison):
            return self._add(condition, 0)
        opposite = not isinstance(condition, AllOf)
        parts = condition.all if isinstance(condition, AllOf) else condition.any
        places = tuple(sorted({self.row(part) for part in parts}))
        height = 1 + max(self._heights[place] for place in places)
        return self._add(_Joined(places, opposite), height)

    def in_layers(self) -> _Order:
        numbered = list(enumerate(zip(self.rows, self._heights, strict=True)))
        first = [(at, row) for at, (row, _) in numbered if isinstance(row, Comparison)]
        first.sort(key=lambda each: (isinstance(self._right_of(each[1]), str), each[1].op))
        place = {at: position for position, (at, _) in enumerate(first)}
        layers = []
        for height in range(1, 1 + max(self._heights, default=0)):
            of_layer = [
                (at, row)
                for at, (row, own) in numbered
                if own == height and isinstance(row, _Joined)
            ]
            layers.append(_layer([row for _, row in of_layer], place, len(place)))
            place |= {at: len(place) + position for position, (at, _) in enumerate(of_layer)}
        return _Order(tuple(row for _, row in first), tuple(layers), place)

    def _add(self, row: Comparison | _Joined, height: int) -> int:
        if row not in self._known:
            self._known[row] = len(self.rows)
            self.rows.append(row)
            self._heights.append(height)
        return self._known[row]


def _layer(rows: Sequence[_Joined], place: Mapping[int, int], first: int) -> _Layer:
    sizes = [len(row.parts) for row in rows]
    flips = np.array([row.opposite for row in rows], dtype=np.bool_)
    return _Layer(
        parts=np.array([place[part] for row in rows for part in row.parts], dtype=np.intp),
        flip_parts=np.repeat(flips, sizes)[:, None],
        starts=np.cumsum([0, *sizes[:-1]]).astype(np.intp),
        flip=flips[:, None],
        first=first,
        last=first + len(rows),
    )
