"""Beta posteriors of the arms of an experiment without context, for rewards from 0 to 1.

A reward between 0 and 1 counts as that share of a success (Agrawal and Goyal, COLT 2012, draw a
success with that chance: the same in the mean). The prior is uniform when its weight is 1. With a
discount, successes and failures fade with every later reward and the prior does not.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from models import elementwise
from models.optimization.bandits.beliefs import BetaBeliefs
from models.optimization.bandits.confidence_bounds import half_widths
from models.protocols import FloatArray, IntArray


@dataclass(slots=True)
class BernoulliPosterior:
    """Counts, (experiments, arms): one experiment when serving, a thousand when simulating."""

    successes: FloatArray
    failures: FloatArray
    prior: float
    discount: float

    @classmethod
    def fresh(cls, arms: int, *, prior: float, discount: float, many: int = 1) -> Self:
        return cls(np.zeros((many, arms)), np.zeros((many, arms)), prior, discount)

    def learn(
        self, experiments: IntArray, arms: IntArray, _contexts: FloatArray, rewards: FloatArray
    ) -> None:
        """Count one reward in each of these experiments, which must all be different."""
        if self.discount < 1:
            self.successes[experiments] *= self.discount
            self.failures[experiments] *= self.discount
        self.successes[experiments, arms] += rewards
        self.failures[experiments, arms] += 1.0 - rewards

    def beliefs(self, contexts: FloatArray) -> BetaBeliefs:
        alpha, beta = self.prior + self.successes, self.prior + self.failures
        mean = np.broadcast_to(alpha / (alpha + beta), (len(contexts), alpha.shape[1]))
        return BetaBeliefs(mean, alpha, beta)

    def bounds(self, contexts: FloatArray, risk: float) -> tuple[FloatArray, FloatArray]:
        """Bound every arm's mean, at all times at once; see confidence_bounds.py."""
        mean = self.beliefs(contexts).mean
        prior = 2 * self.prior  # one of each kind
        counted = prior + self.successes + self.failures
        half = half_widths(1 / np.sqrt(counted), elementwise.log(counted / prior), prior, risk)
        return mean - half, mean + half

    def add_arm(self) -> None:
        self.successes, self.failures = (
            np.concatenate([counts, np.zeros((len(counts), 1))], axis=1)
            for counts in (self.successes, self.failures)
        )
