"""Named columns into context rows: an intercept, then every feature scaled to -1..1.

The scale is what makes one prior fit all features, and what bounds the coefficients: a reward in
0..1 that is linear over the whole cube has an intercept within 1/2 of the middle, and the others'
absolute values add up to no more than what is left of that half.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidColumnError
from models.optimization.bandits.design import Design, Feature
from models.protocols import BoolArray, Columns, FloatArray


def context_rows(design: Design, columns: Columns, rows: int) -> FloatArray:
    """Build the context of each row; InvalidColumnError names a bad column and its rows."""
    scaled = [_scaled(feature, columns, rows) for feature in design.features]
    return np.column_stack([np.ones(rows), *scaled])


def scaled_rewards(design: Design, rewards: NDArray[Any]) -> FloatArray:
    """Bring rewards to 0..1; InvalidColumnError when one is outside the declared range."""
    values = finite(rewards, "reward", rewards.size)
    refuse((values < design.reward_low) | (values > design.reward_high), "reward", values,
           f"outside {design.reward_low} to {design.reward_high}")  # fmt: skip
    scaled: FloatArray = (values - design.reward_low) / (design.reward_high - design.reward_low)
    return scaled


def in_units(design: Design, scaled: FloatArray) -> FloatArray:
    """Take a mean from 0..1 back to the reward's own units."""
    back: FloatArray = design.reward_low + scaled * (design.reward_high - design.reward_low)
    return back


def finite(values: NDArray[Any], column: str, rows: int) -> FloatArray:
    if values.shape != (rows,) or values.dtype.kind not in "iuf":
        raise InvalidColumnError(column, f"must be one number a row, {rows} of them")
    numbers: FloatArray = values.astype(np.float64)
    refuse(~np.isfinite(numbers), column, numbers, "not a finite number")
    return numbers


def refuse(bad: BoolArray, column: str, values: NDArray[Any], reason: str) -> None:
    """Raise for the rows that are bad, saying the first one's value."""
    if rows := np.flatnonzero(bad).tolist():
        raise InvalidColumnError(column, f"row {rows[0]} is {values[rows[0]]}, {reason}", rows)


def _scaled(feature: Feature, columns: Columns, rows: int) -> FloatArray:
    if feature.name not in columns:
        raise InvalidColumnError(feature.name, "is missing")
    values = finite(np.asarray(columns[feature.name]), feature.name, rows)
    share = (values - feature.low) / (feature.high - feature.low)
    return 2 * np.clip(share, 0.0, 1.0) - 1
