"""What a posterior believes of every arm's mean reward in every row, in 0..1 units."""

from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
from scipy import special

from models.optimization.bandits.best_arm import Chances, chances, nodes, reach_of
from models.protocols import BoolArray, FloatArray

_TAIL = 1e-9


class Beliefs(Protocol):
    @property
    def mean(self) -> FloatArray:
        """A row a request, a column an arm."""
        ...

    def optimistic(self, width: float) -> FloatArray: ...

    def narrowed(self, width: float) -> Self: ...

    def chance_of_best(self, eligible: BoolArray, draws: FloatArray) -> Chances: ...

    def interval(self, level: float) -> tuple[FloatArray, FloatArray]: ...


@dataclass(frozen=True, slots=True)
class NormalBeliefs:
    """Normal given the noise, whose variance has an inverse gamma posterior (Student's t)."""

    mean: FloatArray
    spread: FloatArray
    """Standard deviation of the mean, in standard deviations of the noise."""
    shape: FloatArray
    rate: FloatArray
    """Of the noise's variance, one for all rows or one each."""

    def optimistic(self, width: float) -> FloatArray:
        """Add so many standard deviations, with the noise at its posterior mean precision."""
        raised: FloatArray = self.mean + width * self._deviation()
        return raised

    def narrowed(self, width: float) -> Self:
        """Multiply every standard deviation, and leave the means."""
        return replace(self, spread=width * self.spread)

    def chance_of_best(self, eligible: BoolArray, draws: FloatArray) -> Chances:
        """Draw the noise, one uniform a row; the chance of each arm given it is then exact.

        Choosing by these chances is Thompson sampling with the noise unknown, and the chance given
        the noise that was drawn is a propensity in its own right: the draw knows no reward.
        """
        noise = np.sqrt(self.rate / special.gammaincinv(self.shape, draws[:, 0]))
        scale = noise[:, None] * self.spread
        far = reach_of(self.mean.shape[1]) * scale
        lower, upper = (
            np.where(eligible, end, -np.inf) for end in (self.mean - far, self.mean + far)
        )
        grid = nodes(lower, upper, scale)
        standard = (grid[:, None, :] - self.mean[:, :, None]) / scale[:, :, None]
        return chances(special.ndtr(standard), eligible)

    def interval(self, level: float) -> tuple[FloatArray, FloatArray]:
        """Give the central credible interval of each mean, the noise integrated out."""
        half = special.stdtrit(2 * self.shape, (1 + level) / 2)[:, None] * self._deviation()
        return self.mean - half, self.mean + half

    def _deviation(self) -> FloatArray:
        noise: FloatArray = np.sqrt(self.rate / self.shape)[:, None]
        return noise * self.spread


@dataclass(frozen=True, slots=True)
class BetaBeliefs:
    """Beta, the same in every row when there is one row of parameters."""

    mean: FloatArray
    alpha: FloatArray
    beta: FloatArray

    def optimistic(self, width: float) -> FloatArray:
        """Take the quantile that lies so many standard deviations up in a normal (Bayes-UCB)."""
        raised: FloatArray = special.betaincinv(self.alpha, self.beta, special.ndtr(width))
        return np.broadcast_to(raised, self.mean.shape)

    def narrowed(self, width: float) -> Self:
        """Count every observation more, so that standard deviations are about so many times."""
        return replace(self, alpha=self.alpha / width**2, beta=self.beta / width**2)

    def chance_of_best(self, eligible: BoolArray, draws: FloatArray) -> Chances:
        """Integrate; rows that share parameters and arms share one integral."""
        if len(self.alpha) != 1:
            return _beta_chances(self.alpha, self.beta, eligible)
        masks, which = np.unique(eligible, axis=0, return_inverse=True)
        alpha, beta = (np.repeat(each, len(masks), axis=0) for each in (self.alpha, self.beta))
        found = _beta_chances(alpha, beta, masks)
        rows = which.reshape(len(draws))
        return Chances(found.probability[rows], found.error[rows])

    def interval(self, level: float) -> tuple[FloatArray, FloatArray]:
        ends = [
            special.betaincinv(self.alpha, self.beta, q) for q in ((1 - level) / 2, (1 + level) / 2)
        ]
        return np.broadcast_to(ends[0], self.mean.shape), np.broadcast_to(ends[1], self.mean.shape)


def _beta_chances(alpha: FloatArray, beta: FloatArray, eligible: BoolArray) -> Chances:
    lower, median, upper = (
        np.where(eligible, special.betaincinv(alpha, beta, q), -1.0)
        for q in (_TAIL, 0.5, 1 - _TAIL)
    )
    grid = nodes(lower, upper, (median - lower) / 6)  # the tail is 6 deviations down
    cumulative = special.betainc(
        alpha[:, :, None], beta[:, :, None], np.minimum(grid, 1.0)[:, None]
    )
    return chances(cumulative, eligible)
