"""What the tail model is asked with, how a bad row is refused, and what the booster sees."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidColumnError
from models.needs import TAIL
from models.protocols import BoolArray, Columns, FloatArray


class Bounds(NamedTuple):
    low: float
    high: float


class TailRows(NamedTuple):
    """The request's columns, checked."""

    load: FloatArray
    infra: FloatArray
    request_rate: FloatArray
    error_rate: FloatArray
    active_workers: FloatArray
    baseline_ms: FloatArray
    baseline_rate: FloatArray
    slo_ms: FloatArray


# Wide enough for any platform; narrow enough that no logarithm, ratio or float32 of them overflows.
BOUNDS = {
    "load": Bounds(0, 1e3),
    "infra": Bounds(0, 1e3),
    "request_rate": Bounds(0, 1e9),
    "error_rate": Bounds(0, 1),
    "active_workers": Bounds(1, 1e6),
    "baseline_ms": Bounds(1e-6, 1e9),
    "baseline_rate": Bounds(1e-6, 1e9),
    "slo_ms": Bounds(1e-6, 1e9),
}
SELDOM = 0.01
"""An input that lacks in fewer intervals of the history is taken to be there always."""
INPUTS = ("load", "infra", "error_rate", "rate_ratio")
"""The booster's inputs, in its order."""
MONOTONE = (True, True, True, False)
"""Which of them can only lengthen latency; not the rate: cold caches slow a quiet service too."""

_MAY_LACK = np.array([[name in TAIL.can_do_without] for name in TailRows._fields])
_LOW = np.array([[BOUNDS[name].low] for name in TailRows._fields])
_HIGH = np.array([[BOUNDS[name].high] for name in TailRows._fields])


def checked(columns: Columns) -> TailRows:
    """Take the columns as float64; InvalidColumnError for the first one at fault.

    NaN says that an input was not measured: only what the model can do without may lack.
    """
    arrays = [_numbers(columns, name) for name in TailRows._fields]
    for name, array in zip(TailRows._fields, arrays, strict=True):
        if array.shape != arrays[0].shape:
            raise InvalidColumnError(name, f"has {array.size} rows, but load has {arrays[0].size}")
    matrix = np.array(arrays, dtype=np.float64)
    _refuse((matrix >= _LOW) & (matrix <= _HIGH) | (_MAY_LACK & np.isnan(matrix)), matrix)
    return TailRows(*matrix)


def design(
    load: FloatArray, infra: FloatArray, error_rate: FloatArray, rate_ratio: FloatArray
) -> FloatArray:
    """Line up the booster's inputs, one row a request."""
    return np.stack([load, infra, error_rate, rate_ratio], axis=1)


def _numbers(columns: Columns, name: str) -> NDArray[Any]:
    if name not in columns:
        raise InvalidColumnError(name, "is missing")
    array = np.asarray(columns[name])
    if array.ndim != 1 or array.dtype.kind not in "iuf":
        raise InvalidColumnError(name, f"must be one number a row, not {array.dtype} {array.shape}")
    return array


def _refuse(good: BoolArray, matrix: FloatArray) -> None:
    # Comparisons with NaN are false: one test catches NaN, infinities and what is out of range.
    if good.all():
        return
    which = int(np.argmin(good.all(axis=1)))
    rows = np.flatnonzero(~good[which])
    name, bounds = TailRows._fields[which], BOUNDS[TailRows._fields[which]]
    value = matrix[which, rows[0]]
    raise InvalidColumnError(
        name,
        f"row {rows[0]} is {value:g}; it must be a number from {bounds.low:g} to {bounds.high:g}",
        rows.tolist(),
    )
