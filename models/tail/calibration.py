"""The CQR offset of a tail model, by MAPIE.

Only training imports this: serving needs no more than the number.
"""

import numpy as np
from mapie.regression import ConformalizedQuantileRegressor

from models.conformal import cqr_scores
from models.protocols import FloatArray
from models.tail.curve import LEVELS

INTERVAL_LEVEL = 0.9
MOST_CAUTIOUS = 0.99
# MAPIE's order. The sorted quantiles come in as features, so each estimator picks its column.
_LOWER, _UPPER, _MEDIAN = (LEVELS.index(level) for level in (0.05, 0.95, 0.5))


class _Column:
    """A fitted regressor in MAPIE's eyes: predicts one of the quantiles computed before."""

    def __init__(self, column: int) -> None:
        self.column = column
        self.n_features_in_ = len(LEVELS)

    def fit(self, quantiles: FloatArray, _truth: FloatArray) -> "_Column":
        self.n_features_in_ = quantiles.shape[1]
        return self

    def predict(self, quantiles: FloatArray) -> FloatArray:
        return quantiles[:, self.column]


def calibrated_offset(quantiles: FloatArray, truth: FloatArray) -> float:
    """Find by how much, in log latency, both ends of the interval are to be moved out."""
    columns = [_Column(index) for index in (_LOWER, _UPPER, _MEDIAN)]
    regressor = ConformalizedQuantileRegressor(columns, INTERVAL_LEVEL, prefit=True)
    regressor.conformalize(quantiles, truth)
    # A lower end of 0 under a distant median: the answer's lower end is -offset, no digit lost.
    probe = np.zeros((1, len(LEVELS)))
    probe[0, [_MEDIAN, _UPPER]] = 1e6, 2e6
    _, interval = regressor.predict_interval(probe, symmetric_correction=True)
    return -float(interval[0, 0, 0])


def cautious_offset(quantiles: FloatArray, truth: FloatArray, stretches: int) -> float:
    """Find the offset on a short history, of so many stretches of time and entities.

    Requests of one stretch share its luck, so only stretches count in the finite-sample
    correction: the quantile of the scores is taken at level x (n + 1) / n of n stretches, at most
    at MOST_CAUTIOUS. Nor is the interval ever made narrower than the booster's own.
    """
    scores = cqr_scores(quantiles[:, _LOWER], quantiles[:, _UPPER], truth)
    share = min(INTERVAL_LEVEL * (stretches + 1) / stretches, MOST_CAUTIOUS)
    return max(float(np.quantile(scores, share, method="higher")), 0.0)


def one_request_each(targets: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draw one exemplar a minute: those of one minute share its luck, so are not exchangeable."""
    which = rng.integers(0, targets.shape[1], len(targets))
    chosen: FloatArray = targets[np.arange(len(targets)), which]
    return chosen
