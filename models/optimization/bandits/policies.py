"""The two ways to choose: the most optimistic arm, or each arm as often as it may be the best."""

import numpy as np

from models.optimization.bandits.beliefs import Beliefs
from models.optimization.bandits.best_arm import Chances
from models.optimization.bandits.rowwise import row_sum
from models.protocols import BoolArray, FloatArray, IntArray


def upper_confidence(beliefs: Beliefs, eligible: BoolArray, width: float) -> Chances:
    """Take the arm with the highest upper bound; equal ones share the row, with no error."""
    index = np.where(eligible, beliefs.optimistic(width), -np.inf)
    best = (index == index.max(axis=1, keepdims=True)).astype(np.float64)
    return Chances(best / row_sum(best)[:, None], np.zeros(len(best)))


def thompson(
    beliefs: Beliefs, eligible: BoolArray, draws: FloatArray, width: float = 1.0
) -> Chances:
    """Take each arm with the chance that it is the best; Thompson 1933, by quadrature.

    `width` multiplies the beliefs' standard deviations here and nowhere else: intervals stay what
    they are. Chapelle and Li, An Empirical Evaluation of Thompson Sampling, NIPS 2011, call it
    reshaping the posterior: under 1 explores less, and 1 is Thompson's own.

    The arm is then drawn from these very chances, so the propensity that is written down is exact;
    what the quadrature is off by is only how far the policy is from Thompson's.
    """
    return beliefs.narrowed(width).chance_of_best(eligible, draws)


def draw_arms(probabilities: FloatArray, draws: FloatArray) -> IntArray:
    """Draw one arm a row by one uniform a row."""
    below = np.add.accumulate(probabilities, axis=1)
    reached: IntArray = (below > draws[:, None] * below[:, -1:]).argmax(axis=1)
    return reached
