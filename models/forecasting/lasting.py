"""How long an entity's surprises last: what an hour above the usual says of the hours after it.

A surprise is how far an hour lies from the one a season before, in logarithms. With r(k) the
autocorrelation of surprises k hours apart, of one in this hour there is left, k hours ahead,

    r(1) d^(k - 1),     d = sum r(j) r(j + 1) / sum r(j)^2,     j = 1, ..., 5,

and nothing where r(1) does not exceed what it reaches by chance. d is the ratio of successive
autocorrelations: of an autoregression it is the coefficient, also where noise lowers r(1), and
near 1 where the level has moved for good. Recent hours count more: by what a service did months
ago, it would take days to see that its level moved.
"""

import math
from collections.abc import Sequence

import numpy as np

from models.forecasting.forecaster import LONGEST_HORIZON
from models.forecasting.plan.rates import PERSISTENCE
from models.protocols import BoolArray, FloatArray

HALF_LIFE = 48
"""Hours after which an hour counts half."""
SEASONS = (168, 24)
FEWEST_PAIRS = 48
USUAL: FloatArray = PERSISTENCE ** np.arange(1.0, LONGEST_HORIZON + 1)
"""Where no entity has a past that says."""
_LAGS = 6
_BY_CHANCE = 2.0
"""Standard errors that r(1) of surprises without any memory seldom exceeds."""


def lasting_of_all(rates: Sequence[FloatArray]) -> list[FloatArray]:
    """Give each entity's; one too young to say gets the middle one of the others."""
    found = [lasting(each) for each in rates]
    said = [each for each in found if each is not None]
    usual = np.median(said, axis=0) if said else USUAL
    return [usual if each is None else each for each in found]


def lasting(rates: FloatArray) -> FloatArray | None:
    """Give the share of a surprise's logarithm that is left in each hour ahead; None if unknown."""
    positive = rates > 0
    logs = np.log(np.where(positive, rates, 1.0))
    logs[~positive] = np.nan
    for season in SEASONS:
        surprise = logs[season:] - logs[:-season]
        known = np.isfinite(surprise)
        if np.count_nonzero(known[1:] & known[:-1]) >= FEWEST_PAIRS:
            return _left(np.where(known, surprise, 0.0), known)
    return None


def _left(surprise: FloatArray, known: BoolArray) -> FloatArray:
    weight = 0.5 ** (np.arange(surprise.size)[::-1] / HALF_LIFE) * known
    variance = np.sum(weight * surprise**2) / np.sum(weight)
    enough = np.sum(weight) ** 2 / np.sum(weight**2)
    nothing = np.zeros(LONGEST_HORIZON)
    if not variance > 0:
        return nothing
    found = np.array([_product(surprise, known, weight, lag) for lag in range(1, _LAGS + 1)])
    found /= variance
    if found[0] < _BY_CHANCE / math.sqrt(enough):
        return nothing
    decay = np.clip(np.sum(found[:-1] * found[1:]) / np.sum(found[:-1] ** 2), 0.0, 1.0)
    return np.asarray(min(found[0], 1.0) * decay ** np.arange(LONGEST_HORIZON))


def _product(surprise: FloatArray, known: BoolArray, weight: FloatArray, lag: int) -> float:
    """Give the mean product of surprises so far apart, where both are known."""
    both = weight[lag:] * known[:-lag]
    total = np.sum(both)
    return float(np.sum(both * surprise[lag:] * surprise[:-lag]) / total) if total > 0 else 0.0
