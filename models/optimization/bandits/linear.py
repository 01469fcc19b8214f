"""Bayesian linear regression of the reward on the context, one for each arm, the noise shared.

Exact and conjugate (Bishop, Pattern Recognition and Machine Learning, 3.3; the bandits on it are Li
et al., WWW 2010, and Agrawal and Goyal, ICML 2013): the noise's variance is inverse gamma and,
given it, theta_a is normal with precision (lambda I + sum x x^T) / noise. With a discount gamma
(Russac, Vernade and Cappe, NeurIPS 2019) an observation of age k counts gamma^k; the prior does
not fade.

The state is sums only, and only elementwise operations touch it: it is symmetric to the bit, and
the same to the bit on any machine. Factors are worked out from the sums whenever they changed and
never flow back, so a million updates leave no more error than adding a million numbers does.

The first axis counts experiments side by side: one when serving, a thousand when simulating.
"""

import math
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from models import elementwise
from models.optimization.bandits.beliefs import NormalBeliefs
from models.optimization.bandits.confidence_bounds import half_widths
from models.optimization.bandits.rowwise import weighted_columns
from models.protocols import BoolArray, FloatArray, IntArray

MIDDLE = 0.5
"""Rewards are in 0..1; the prior says the middle."""
_SHAPE, _RATE = 1.0, 0.25  # noise before any data: a deviation of 1/2, the most that 0..1 allows


@dataclass(slots=True)
class _Factors:
    columns: FloatArray
    """Of the inverse Cholesky factors, the column first: (d, experiments, arms, d)."""
    coefficients: FloatArray
    """(d, experiments, arms): theta's posterior mean less the prior's."""
    explained: FloatArray
    log_determinant: FloatArray
    stale: BoolArray


@dataclass(slots=True)
class LinearPosterior:
    """Sums over rewards y = r - 1/2 and contexts x; what is not stored here is derived."""

    precision: FloatArray
    """sum x x^T: (experiments, arms, d, d)."""
    moment: FloatArray
    """sum y x: (experiments, arms, d)."""
    squares: FloatArray
    """sum y^2, over all arms: (experiments,)."""
    weight: FloatArray
    """Rewards counted, over all arms: (experiments,)."""
    prior: float
    discount: float
    _factors: _Factors | None = field(default=None, init=False, compare=False)

    @classmethod
    def fresh(cls, arms: int, width: int, *, prior: float, discount: float, many: int = 1) -> Self:
        """Start with no data: `many` experiments with contexts of that width."""
        shape = (many, arms, width)
        sums = np.zeros((*shape, width)), np.zeros(shape), np.zeros(many), np.zeros(many)
        return cls(*sums, prior=prior, discount=discount)

    def learn(
        self, experiments: IntArray, arms: IntArray, contexts: FloatArray, rewards: FloatArray
    ) -> None:
        """Count one reward in each of these experiments, which must all be different."""
        y = rewards - MIDDLE
        if self.discount < 1:
            for sums in (self.precision, self.moment, self.squares, self.weight):
                sums[experiments] *= self.discount
        self.precision[experiments, arms] += contexts[:, :, None] * contexts[:, None, :]
        self.moment[experiments, arms] += y[:, None] * contexts
        self.squares[experiments] += y * y
        self.weight[experiments] += 1.0
        if self._factors is not None:
            everywhere = self.discount < 1
            self._factors.stale[experiments, slice(None) if everywhere else arms] = True

    def beliefs(self, contexts: FloatArray) -> NormalBeliefs:
        """Believe of every arm in every context; rows are the experiments' when there are many."""
        factors = self._fresh_factors()
        mean = MIDDLE + weighted_columns(contexts, factors.coefficients)
        images = weighted_columns(contexts, factors.columns)
        variance = np.zeros_like(mean)
        for j in range(images.shape[-1]):
            variance += images[..., j] * images[..., j]
        shape = _SHAPE + self.weight / 2
        residual = np.maximum(self.squares - factors.explained.sum(axis=1), 0.0)
        return NormalBeliefs(mean, np.sqrt(variance), shape, _RATE + residual / 2)

    def bounds(self, contexts: FloatArray, risk: float) -> tuple[FloatArray, FloatArray]:
        """Bound every arm's mean, at all times at once; see confidence_bounds.py."""
        beliefs = self.beliefs(contexts)
        width = contexts.shape[1]
        log_ratio = self._fresh_factors().log_determinant - width * math.log(self.prior)
        half = half_widths(beliefs.spread, log_ratio, self.prior, risk)
        return beliefs.mean - half, beliefs.mean + half

    def add_arm(self) -> None:
        self.precision, self.moment = (
            np.concatenate([sums, np.zeros_like(sums[:, :1])], axis=1)
            for sums in (self.precision, self.moment)
        )
        self._factors = None

    def _fresh_factors(self) -> _Factors:
        factors = self._factors
        if factors is None:
            factors = self._factors = _blank(self.moment)
        if factors.stale.any():
            self._renew(factors, factors.stale)
        return factors

    def _renew(self, factors: _Factors, stale: BoolArray) -> None:
        moment = self.moment[stale][:, :, None]
        ridge = self.prior * np.eye(moment.shape[1])
        inverse = np.linalg.inv(np.linalg.cholesky(ridge + self.precision[stale]))
        coefficients = inverse.swapaxes(1, 2) @ (inverse @ moment)
        factors.columns[:, stale] = np.moveaxis(inverse, 2, 0)
        factors.coefficients[:, stale] = coefficients[:, :, 0].T
        factors.explained[stale] = (moment.swapaxes(1, 2) @ coefficients)[:, 0, 0]
        diagonal = np.diagonal(inverse, axis1=1, axis2=2)
        factors.log_determinant[stale] = -2 * elementwise.log(diagonal).sum(axis=1)
        factors.stale[...] = False


def _blank(moment: FloatArray) -> _Factors:
    many, arms, width = moment.shape
    return _Factors(
        np.zeros((width, many, arms, width)),
        np.zeros((width, many, arms)),
        np.zeros((many, arms)),
        np.zeros((many, arms)),
        np.ones((many, arms), np.bool_),
    )
