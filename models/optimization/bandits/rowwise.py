"""Sums that give a row the same bits in any batch.

numpy and BLAS choose the order of additions by an array's shape. Here each row is added up from
left to right by elementwise operations, which IEEE 754 leaves no choice.
"""

import numpy as np

from models.protocols import FloatArray


def row_sum(values: FloatArray) -> FloatArray:
    """Add up along the last axis."""
    total: FloatArray = np.add.accumulate(values, axis=-1)[..., -1]
    return total


def weighted_columns(weights: FloatArray, columns: FloatArray) -> FloatArray:
    """Give sum_j weights[:, j] * columns[j], where columns[j] has one row, or one for each."""
    extra = (None,) * (columns.ndim - 2)
    total: FloatArray = weights[(slice(None), 0, *extra)] * columns[0]
    for j in range(1, len(columns)):
        total += weights[(slice(None), j, *extra)] * columns[j]
    return total
