"""Split-conformal calibration of a quantile interval (CQR).

Romano, Patterson and Candes, Conformalized Quantile Regression, NeurIPS 2019: with E_i = max(lo_i
- y_i, y_i - hi_i) on n calibration rows, the interval [lo - Q, hi + Q] covers a new exchangeable
row with probability at least `level`, where Q is the ceil((n + 1) level)-th smallest E_i. Q may be
negative: then the interval was too wide and shrinks.
"""

import math

import numpy as np

from models.errors import CalibrationError
from models.protocols import FloatArray

_ROUNDING = 1e-9  # .55 * 100 is 55.00000000000001 in floats: the rank must not jump for that


def cqr_scores(lower: FloatArray, upper: FloatArray, truth: FloatArray) -> FloatArray:
    """How far each truth lies outside its interval; negative inside."""
    scores: FloatArray = np.maximum(lower - truth, truth - upper)
    return scores


def conformal_quantile(scores: FloatArray, level: float) -> float:
    """Take the finite-sample quantile: the ceil((n + 1) level)-th smallest score."""
    if not 0 < level < 1:
        raise CalibrationError(f"level {level} is not between 0 and 1")
    rank = math.ceil((scores.size + 1) * level - _ROUNDING)
    if rank > scores.size:
        needed = math.ceil(level / (1 - level) - _ROUNDING)
        raise CalibrationError(
            f"{scores.size} calibration rows are too few for level {level}; give at least {needed}"
        )
    return float(np.partition(scores, rank - 1)[rank - 1])


def widen(
    lower: FloatArray, upper: FloatArray, offset: float | FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Move both ends out; ends that a negative offset would make cross meet in the middle."""
    middle = lower + (upper - lower) / 2
    return np.minimum(lower - offset, middle), np.maximum(upper + offset, middle)


def coverage(lower: FloatArray, upper: FloatArray, truth: FloatArray) -> float:
    """Count the share of truths that their intervals hold."""
    return float(np.mean((lower <= truth) & (truth <= upper)))


def pinball(quantile: FloatArray, truth: FloatArray, level: float) -> float:
    """Score a quantile by the mean loss that it minimises (Koenker and Bassett 1978)."""
    error = truth - quantile
    return float(np.mean(np.maximum(level * error, (level - 1) * error)))
