"""What every policy is held to: an exploration floor, and the canary's share of the traffic.

Both change the probabilities before the arm is drawn, so the propensity stays exact.
"""

import numpy as np

from models.optimization.bandits.rowwise import row_sum
from models.protocols import BoolArray, FloatArray


def with_floor(probabilities: FloatArray, eligible: BoolArray, floor: float) -> FloatArray:
    """Spread `floor` evenly over the eligible arms, the rest as the policy says."""
    even = eligible / eligible.sum(axis=1, keepdims=True)
    mixed: FloatArray = (1 - floor) * probabilities + floor * even
    return mixed


def within_cap(probabilities: FloatArray, baseline: int, cap: float) -> FloatArray:
    """Leave the other arms at most `cap` of each row, in the same proportions."""
    others = probabilities.copy()
    others[:, baseline] = 0.0
    away = row_sum(others)
    kept = others * np.where(away > cap, cap / np.maximum(away, cap or 1.0), 1.0)[:, None]
    kept[:, baseline] = 1.0 - row_sum(kept)
    return kept


def canary_percentage(probabilities: FloatArray, baseline: int) -> FloatArray:
    """Say which share of such requests goes to arms other than the baseline, in percent."""
    percentage: FloatArray = 100.0 * (1.0 - probabilities[:, baseline])
    return percentage
