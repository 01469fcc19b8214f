"""What a policy would have earned, four ways, each with an interval that holds at any time.

Inverse propensity weighting (Horvitz and Thompson 1952), self-normalised (Swaminathan and Joachims
2015), the direct method, and doubly robust (Dudik, Langford and Li 2011). The intervals are one
construction: scores with the policy's value as their mean, doubly robust with a prediction made
from the rows before, and a confidence sequence for the scores' mean. They differ in the
prediction: none, the self-normalised value so far, or the reward model's. The direct method cannot
tell its model's bias, so it has no interval of its own: it is given the doubly robust one,
stretched where need be to hold its value.
"""

from dataclasses import dataclass

import numpy as np

from models.optimization.evaluation.confidence_sequence import Scores, lower_bound
from models.optimization.evaluation.logged import LoggedDecisions
from models.optimization.evaluation.overlap import importance
from models.optimization.evaluation.scores import PolicyScores, running_mean
from models.protocols import FloatArray


@dataclass(frozen=True, slots=True)
class Estimate:
    """In 0..1, as the log's rewards."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Predictions:
    """Expected reward of every arm in every row."""

    crossed: FloatArray
    """By a model of the other folds: for the values."""
    earlier: FloatArray
    """By a model of the rows before: for the intervals, which must not look ahead."""


def inverse_propensity(log: LoggedDecisions, target: FloatArray, risk: float) -> Estimate:
    value = float(np.mean(log.of_chosen(importance(log, target)) * log.rewards))
    return _with_interval(value, log, target, np.zeros_like(target), risk)


def self_normalised(log: LoggedDecisions, target: FloatArray, risk: float) -> Estimate:
    weights = log.of_chosen(importance(log, target))
    value = float((weights * log.rewards).sum() / weights.sum())
    so_far = np.broadcast_to(running_mean(log, target)[:, None], target.shape)
    return _with_interval(value, log, target, so_far, risk)


def direct(target: FloatArray, predictions: Predictions, robust: Estimate) -> Estimate:
    value = float((target * predictions.crossed).sum(axis=1).mean())
    return Estimate(value, min(robust.lower, value), max(robust.upper, value))


def doubly_robust(
    log: LoggedDecisions, target: FloatArray, predictions: Predictions, risk: float
) -> Estimate:
    crossed = predictions.crossed
    residual = log.of_chosen(importance(log, target)) * (log.rewards - log.of_chosen(crossed))
    value = float(np.mean((target * crossed).sum(axis=1) + residual))
    return _with_interval(value, log, target, predictions.earlier, risk)


def _with_interval(
    value: float, log: LoggedDecisions, target: FloatArray, predicted: FloatArray, risk: float
) -> Estimate:
    earned = PolicyScores.value(log, target, predicted)
    return _bounded(value, earned, PolicyScores.shortfall(log, target, predicted), risk)


def _bounded(value: float, earned: Scores, lacking: Scores, risk: float) -> Estimate:
    """Bound the value, and what it lacks to 1, from below with half the risk each."""
    lower, shortfall = (max(lower_bound(each, risk / 2), 0.0) for each in (earned, lacking))
    return Estimate(value, lower, 1 - shortfall)
