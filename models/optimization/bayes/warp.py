"""Outcomes bent towards a bell before they are modelled, and back: Yeo & Johnson 2000.

A cost that runs over decades is better modelled by its logarithm. Which bend fits is judged by the
likelihood, so each carries the logarithm of its Jacobian.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from models.protocols import FloatArray

BENDS = (1.0, 0.0)
"""1 leaves them as they are, 0 takes the logarithm of what is over the mean."""
_LEAST_SPREAD = 1e-12


@dataclass(frozen=True, slots=True)
class Warp:
    """(outcome - centre) / spread, bent, and standardised again."""

    bend: float
    centre: float
    spread: float
    bent_centre: float
    bent_spread: float
    log_jacobian: float

    @classmethod
    def fit(cls, outcomes: FloatArray, bend: float) -> Self:
        centre, spread = float(outcomes.mean()), _spread(outcomes)
        plain = (outcomes - centre) / spread
        bent = _bent(plain, bend)
        bent_spread = _spread(bent)
        stretch = (bend - 1) * float((np.sign(plain) * np.log1p(np.abs(plain))).sum())
        jacobian = stretch - len(outcomes) * float(np.log(bent_spread))
        return cls(bend, centre, spread, float(bent.mean()), bent_spread, jacobian)

    def there(self, outcomes: FloatArray) -> FloatArray:
        plain = (outcomes - self.centre) / self.spread
        modelled: FloatArray = (_bent(plain, self.bend) - self.bent_centre) / self.bent_spread
        return modelled

    def back(self, modelled: FloatArray) -> FloatArray:
        bent = modelled * self.bent_spread + self.bent_centre
        outcomes: FloatArray = _unbent(bent, self.bend) * self.spread + self.centre
        return outcomes


def _bent(plain: FloatArray, bend: float) -> FloatArray:
    if bend == 1.0:
        return plain
    over, under = np.log1p(np.maximum(plain, 0)), ((1 - np.minimum(plain, 0)) ** 2 - 1) / 2
    return over - under


def _unbent(bent: FloatArray, bend: float) -> FloatArray:
    if bend == 1.0:
        return bent
    over, under = np.expm1(np.maximum(bent, 0)), np.sqrt(1 - 2 * np.minimum(bent, 0)) - 1
    total: FloatArray = over - under
    return total


def _spread(values: FloatArray) -> float:
    spread = float(values.std())
    return spread if spread > _LEAST_SPREAD * max(float(np.abs(values).max()), 1e-300) else 1.0
