"""Expected rewards of every arm, learnt from logged decisions and never used where they were.

Cross-fitting: Chernozhukov et al., Double/debiased machine learning, Econometrics Journal 2018.
Looking back only: Waudby-Smith et al., Anytime-valid off-policy inference for contextual bandits,
ACM/IMS Journal of Data Science 2024, whose intervals need predictions that know nothing of the row
itself or later ones.
"""

from collections.abc import Callable

import numpy as np

from models.optimization.evaluation.logged import LoggedDecisions
from models.protocols import FloatArray, IntArray

Predictor = Callable[[FloatArray], FloatArray]
"""From contexts to the expected reward of each arm."""
RewardModel = Callable[[LoggedDecisions], Predictor]

_RIDGE, _RIDGE_OF_ARM = 1.0, 4.0  # an arm has fewer rows, so leans on what all share
_FIRST_BLOCK = 64  # rows before the first fit; each later block doubles what was seen


def ridge(log: LoggedDecisions) -> Predictor:
    """Fit a ridge regression that all arms share, and one an arm to what that leaves."""
    mean, arms = float(log.rewards.mean()), log.probabilities.shape[1]
    shared = _solved(log.contexts, log.rewards - mean, _RIDGE)
    left = log.rewards - mean - log.contexts @ shared
    chosen = [log.arms == arm for arm in range(arms)]
    own = [_solved(log.contexts[rows], left[rows], _RIDGE_OF_ARM) for rows in chosen]
    coefficients = shared[:, None] + np.stack(own, axis=1)
    return lambda contexts: np.clip(mean + contexts @ coefficients, 0.0, 1.0)


def cross_fitted(log: LoggedDecisions, fit: RewardModel, fold_of: IntArray) -> FloatArray:
    """Predict each fold's rows by a model of the others."""
    predicted = np.zeros_like(log.probabilities)
    for fold in np.unique(fold_of):
        held_out = fold_of == fold
        predicted[held_out] = fit(log.where(~held_out))(log.contexts[held_out])
    return predicted


def looking_back(log: LoggedDecisions, fit: RewardModel, start: FloatArray) -> FloatArray:
    """Predict each row by a model of the rows before it; `start` until there are enough."""
    predicted = np.repeat(start[:, None], log.probabilities.shape[1], axis=1)
    seen, rows = _FIRST_BLOCK, len(start)
    while seen < rows:
        block = slice(seen, min(2 * seen, rows))
        predicted[block] = fit(log.where(slice(seen)))(log.contexts[block])
        seen *= 2
    return predicted


def even_folds(rows: int, folds: int) -> IntArray:
    """Deal the rows out in turn, so that no fold is a time of its own."""
    return np.arange(rows) % folds


def _solved(x: FloatArray, y: FloatArray, ridge_: float) -> FloatArray:
    return np.linalg.solve(x.T @ x + ridge_ * np.eye(x.shape[1]), x.T @ y).astype(np.float64)
