"""What is asked of a tail: its parameters, levels, and the probability of passing a level."""

import math
from enum import IntEnum
from typing import NamedTuple

from models.errors import TrainingDataError


class Kind(IntEnum):
    SHAPE = 0
    SCALE = 1
    LEVEL = 2
    """A level with a given probability of being exceeded."""
    MEAN_BEYOND = 3
    """The mean of what exceeds such a level."""
    EXCEEDANCE = 4
    """The probability of exceeding a given level."""


class Quantity(NamedTuple):
    kind: Kind
    argument: float = 0.0
    """Log of one over the probability, for levels; the level itself, for probabilities."""
    of_peaks: bool = False
    """Whether the probability counts independent peaks, not single observations."""


SHAPE = Quantity(Kind.SHAPE)
SCALE = Quantity(Kind.SCALE)


def value_at_risk(level: float) -> Quantity:
    """Ask for the level that an observation exceeds with probability 1 - level."""
    return Quantity(Kind.LEVEL, -math.log1p(-_probability(level)))


def conditional_value_at_risk(level: float) -> Quantity:
    """Ask for the mean of the observations beyond the value at risk (expected shortfall)."""
    return Quantity(Kind.MEAN_BEYOND, -math.log1p(-_probability(level)))


def return_level(observations: float) -> Quantity:
    """Ask for the level that a peak exceeds once in so many observations, on average."""
    if not 1 < observations < math.inf:
        raise TrainingDataError(
            f"the return period of {observations:g} observations is not valid: give more than 1"
        )
    return Quantity(Kind.LEVEL, math.log(observations), of_peaks=True)


def exceedance(level: float) -> Quantity:
    """Ask for the probability that an observation exceeds the level."""
    if not math.isfinite(level):
        raise TrainingDataError(f"the level {level} is not a number")
    return Quantity(Kind.EXCEEDANCE, level)


def _probability(level: float) -> float:
    if not 0 < level < 1:
        raise TrainingDataError(f"level {level} is not between 0 and 1")
    return level
