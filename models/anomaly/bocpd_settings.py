"""What a user may choose about change-point detection."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.anomaly.bocpd_state import LEVEL, POISSON, TREND, WISHART, Prior
from models.anomaly.inputs import require_within
from models.errors import ModelError

RegimeFamily = Literal["level", "trend", "poisson", "wishart"]
FAMILIES: dict[RegimeFamily, int] = {
    "level": LEVEL,
    "trend": TREND,
    "poisson": POISSON,
    "wishart": WISHART,
}
_TABLE = 4_096  # beyond it a value is computed when needed


@dataclass(frozen=True)
class BocpdSettings:
    """The defaults are those whose published scores are quoted for this method."""

    family: RegimeFamily = "level"
    """What a regime is: level and trend (normal, dimensions independent), poisson (counts),
    wishart (normal, dimensions correlated)."""
    expected_run: float = 100.0
    """How many observations a regime lasts on average; one over it is the hazard."""
    kappa: float = 1.0
    """How many observations the prior of a regime's mean is worth."""
    slope_kappa: float = 100.0
    """The same of a trend's slope, in squared observations."""
    alpha: float = 1.0
    beta: float = 1.0
    """The variance within a regime, scaled: beta / (its Gamma(alpha) draw)."""
    weight: float = 1.0
    """What part of an independent observation one counts for; less than 1 when each repeats some
    of what the one before said."""
    hypotheses: int = 64
    """How many beginnings of the present regime are kept apart."""
    recent: int = 10
    """The change probability is that the regime is at most so many observations old."""
    warmup: int = 16
    """From how many first observations a stream that was given no scale learns it."""

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ModelError(f"family is {self.family!r}; choose one of {', '.join(FAMILIES)}")
        for name in ("kappa", "slope_kappa", "alpha", "beta"):
            self._within(name, 1e-6, 1e9)
        self._within("expected_run", 1.0 + 1e-6, 1e9)
        self._within("weight", 1e-3, 1.0)
        self._within("hypotheses", 8, 65_536)
        self._within("recent", 1, 1_000_000)
        self._within("warmup", 2, 1_000)

    def _within(self, name: str, least: float, most: float) -> None:
        require_within(name, getattr(self, name), least, most)

    def prior(self, dimensions: int) -> Prior:
        """Put it as the kernel wants it."""
        wide = dimensions / 2 if self.family == "wishart" else 0.5
        a = self.alpha + np.arange(_TABLE) / 2
        gamma = np.array([math.lgamma(x + wide) - math.lgamma(x) for x in a.tolist()])
        return Prior(
            family=FAMILIES[self.family],
            kappa=float(self.kappa),
            slope_kappa=float(self.slope_kappa),
            alpha=float(self.alpha),
            beta=float(self.beta),
            weight=float(self.weight),
            gamma=gamma,
        )

    def statistics(self, dimensions: int) -> int:
        """How many numbers a hypothesis remembers."""
        if self.family == "trend":
            return 5 * dimensions
        factor = dimensions * (dimensions + 1) // 2 if self.family == "wishart" else 0
        return 2 * dimensions + factor
