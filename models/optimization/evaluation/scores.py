"""One score a decision whose mean is what a policy earns there, whatever a model predicts.

The doubly robust score with the prediction held down where the weight is large, after Waudby-Smith
et al. 2024: for a weight w(a) of every arm, a prediction q(a) and the arm A that was chosen,

    u = w(A) (r - c(A)) + sum_a p(a) c(a),   c(a) = q(a) held so that w(a) c(a) <= cut.

Its mean is the value whatever q is, and it is never below -cut, whatever the weights. A policy less
another has weights of both signs: there c(a) is held so that no score is below -cut - 1.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from models.optimization.evaluation.logged import LoggedDecisions
from models.optimization.evaluation.overlap import importance
from models.protocols import FloatArray


@dataclass(frozen=True, slots=True)
class PolicyScores:
    log: LoggedDecisions
    chances: FloatArray
    """The policy's probability of every arm, or the difference of two policies'."""
    weights: FloatArray
    predicted: FloatArray
    rewards: FloatArray
    depth: float

    @classmethod
    def value(cls, log: LoggedDecisions, target: FloatArray, predicted: FloatArray) -> Self:
        """Score what the policy earns."""
        return cls(log, target, importance(log, target), predicted, log.rewards, 0.0)

    @classmethod
    def shortfall(cls, log: LoggedDecisions, target: FloatArray, predicted: FloatArray) -> Self:
        """Score what the policy's reward lacks to 1."""
        return cls(log, target, importance(log, target), 1 - predicted, 1 - log.rewards, 0.0)

    @classmethod
    def gain(
        cls, log: LoggedDecisions, target: FloatArray, other: FloatArray, predicted: FloatArray
    ) -> Self:
        """Score what the policy earns more than the other."""
        chances = target - other
        return cls(log, chances, importance(log, chances), predicted, log.rewards, 1.0)

    def at(self, cut: float) -> FloatArray:
        kept, weights = self._kept(cut), self.log.of_chosen(self.weights)
        residual = weights * (self.rewards - self.log.of_chosen(kept))
        scores: FloatArray = residual + (self.chances * kept).sum(axis=1)
        return scores

    def _kept(self, cut: float) -> FloatArray:
        size = np.abs(self.weights)
        if size.max(initial=0.0) <= cut:
            return self.predicted
        room = np.minimum(cut / np.maximum(size, 1e-300), 1.0)
        below, above = np.minimum(self.predicted, room), np.maximum(self.predicted, 1 - room)
        return np.where(self.weights >= 0, below, above)


def running_mean(log: LoggedDecisions, target: FloatArray) -> FloatArray:
    """Give the self-normalised value of the rows before each, which starts at 1/2."""
    weights = log.of_chosen(importance(log, target))
    earned, counted = np.cumsum(weights * log.rewards), np.cumsum(weights)
    before = [np.concatenate([[0.0], total[:-1]]) for total in (earned, counted)]
    mean: FloatArray = (0.5 + before[0]) / (1.0 + before[1])
    return mean
