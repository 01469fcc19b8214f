"""A batch of one row that breaks nothing, told without numpy: most requests come alone.

A row takes some forty comparisons, and a call of numpy's costs as much as ten. What is compared is
what `safety/broken.py` compares, in the same order of the same operations.
"""

from collections.abc import Mapping, Sequence
from typing import Self

from safety.arrays import FloatArray
from safety.rules import Measure, Ordered, Width


class OneRow:
    """Some limits that hold at all times: of each column its bounds, and how columns compare."""

    def __init__(
        self,
        fields: Sequence[str],
        bounds: Sequence[tuple[float, float]],
        orders: Sequence[Ordered],
        widths: Sequence[Width],
    ) -> None:
        self._fields = tuple(fields)
        self._bounds = tuple(bounds)
        self._orders = tuple(
            (each.lesser_at, each.greater_at, each.factor, each.margin) for each in orders
        )
        self._widths = tuple(
            (each.prediction_at, each.lower_at, each.upper_at, each.max_relative, each.floor)
            for each in widths
        )

    @classmethod
    def of(
        cls,
        fields: Sequence[str],
        bounds: Sequence[tuple[float, float]],
        measures: Sequence[Measure],
    ) -> Self | None:
        """Take the measures beside the bounds; None where one of them is of another kind."""
        orders = [each for each in measures if isinstance(each, Ordered)]
        widths = [each for each in measures if isinstance(each, Width)]
        if len(orders) + len(widths) < len(measures):
            return None
        return cls(fields, bounds, orders, widths)

    def is_sure(self, columns: Mapping[str, FloatArray]) -> bool:
        """Tell whether the one row keeps everything; a row that lacks a column does not."""
        try:
            values: list[float] = [columns[field].item() for field in self._fields]
        except (KeyError, ValueError):  # a column is absent, or has another length
            return False
        # Bounds are of the first columns; behind them are those that conditions alone read.
        for value, (low, high) in zip(values, self._bounds, strict=False):
            if not low <= value <= high:
                return False
        for lesser, greater, factor, margin in self._orders:
            if not values[lesser] <= values[greater] * factor + margin:
                return False
        for prediction, lower, upper, relative, floor in self._widths:
            size = max(abs(values[prediction]), floor)
            if not values[upper] - values[lower] <= relative * size:
                return False
        return True
