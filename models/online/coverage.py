"""How often intervals have held what came: over all outcomes, and over the latest."""

import math
from typing import NamedTuple

import numpy as np

from models.protocols import BoolArray

_DOUBT = 3.0  # standard errors of a share that the latest outcomes may stray by chance


class Coverage(NamedTuple):
    level: float
    outcomes: int
    covered: int
    recent_outcomes: int
    recent_covered: int

    @property
    def so_far(self) -> float:
        """NaN before the first outcome."""
        return self.covered / self.outcomes if self.outcomes else math.nan

    @property
    def recent(self) -> float:
        return self.recent_covered / self.recent_outcomes if self.recent_outcomes else math.nan

    @property
    def holds(self) -> bool:
        """Whether the latest intervals held as often as they say, as far as so few can tell."""
        if self.recent_outcomes == 0:
            return True
        error = math.sqrt(self.level * (1 - self.level) / self.recent_outcomes)
        return abs(self.recent - self.level) <= _DOUBT * error


def counted(level: float, outcomes: int, covered: int, recent: BoolArray) -> Coverage:
    return Coverage(level, outcomes, covered, recent.size, int(np.count_nonzero(recent)))
