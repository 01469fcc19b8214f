"""Checks observations on their way in."""

import numpy as np

from models.errors import InvalidColumnError, ModelError
from models.protocols import FloatArray

FARTHEST = 1e100
"""Beyond it a value is taken as this: squares and sums of it are still finite."""


_TABLE = 2  # axes: rows and dimensions


def require_within(name: str, value: float, least: float, most: float) -> None:
    """ModelError when a setting is out of its range."""
    if not least <= value <= most:
        raise ModelError(f"{name} is {value}: choose {least:g} to {most:g}")


def checked_points(points: FloatArray, dimensions: int, column: str = "points") -> FloatArray:
    """Give (rows, dimensions) of finite numbers; InvalidColumnError when they are not."""
    given = np.asarray(points)
    if given.dtype.kind not in "fiu" or given.ndim != _TABLE or given.shape[1] != dimensions:
        raise InvalidColumnError(column, f"must be numbers, {dimensions} to a row")
    values = given.astype(np.float64)
    lost = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if lost.size:
        reason = f"row {lost[0]} is {values[lost[0]].tolist()}; give finite numbers"
        raise InvalidColumnError(column, reason, lost.tolist())
    return np.clip(values, -FARTHEST, FARTHEST)
