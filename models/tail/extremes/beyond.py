"""A conformal bound for levels that the calibration scores do not reach.

Split conformal prediction needs 1 / (1 - level) scores: with fewer its bound is infinite. Below,
it is used as it is, and down to the k-th largest score its promise is exact: a new exchangeable
score exceeds it with probability (k + 1) / (n + 1). Beyond that score the excesses are taken for
generalised Pareto, and the bound is where the predictive probability of a new excess, which
averages over all that the k excesses leave possible, is what is left of 1 - level. With a prior
flat in shape and log scale the average over the shape has a closed form: given theta,

    P(excess > z) = (1 + log(1 + theta z) / sum log(1 + theta y))^-(k - 1).

A plugged-in fit would be too low: it is exceeded more often than it says.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from models.conformal import conformal_quantile
from models.errors import CalibrationError, TrainingDataError
from models.protocols import FloatArray
from models.tail.extremes import chebyshev
from models.tail.extremes.bundle import bundled
from models.tail.extremes.excesses import FEWEST, from_peaks, observed_values
from models.tail.extremes.gpd_fit import fit_gpd
from models.tail.extremes.gpd_profile import theta_of
from models.tail.extremes.region import region_of

TAIL_SHARE = 0.1
"""The share of the scores that the tail is learned from."""

_POINTS = 129
_ALMOST_ALL = 1 - 1e-9
_FARTHEST = 500.0  # log of the largest excess looked for, in mean excesses


class Bound(NamedTuple):
    value: float
    beyond_data: bool
    """Whether it rests on the generalised Pareto tail and not on the scores alone."""


class _Predictive(NamedTuple):
    """Over a grid of theta: its weight, and the sum of log(1 + theta y)."""

    theta: FloatArray
    weight: FloatArray
    total: FloatArray
    power: float


def upper_bound(scores: ArrayLike, level: float) -> Bound:
    """Bound a new exchangeable score from above with probability `level`."""
    seen = np.sort(observed_values(scores))
    if not 0 < level < 1:
        raise CalibrationError(f"level {level} is not between 0 and 1")
    if math.ceil((seen.size + 1) * level - 1e-9) <= seen.size:
        return Bound(conformal_quantile(seen, level), beyond_data=False)
    k = max(FEWEST, math.floor(seen.size * TAIL_SHARE))
    if k >= seen.size:
        raise CalibrationError(
            f"{seen.size} scores are too few for level {level}; give at least {FEWEST + 1}"
        )
    threshold = float(seen[-k - 1])
    left = (1 - level) * (seen.size + 1) / (k + 1)
    return Bound(max(float(seen[-1]), _tail_bound(seen[-k:], threshold, left)), beyond_data=True)


def _tail_bound(peaks: FloatArray, threshold: float, probability: float) -> float:
    # Scores equal to the threshold are no excesses: ties only make the tail likelier, never less.
    apart = peaks[peaks > threshold]
    try:
        sample = from_peaks(apart, threshold, apart.size)
    except TrainingDataError as error:
        raise CalibrationError(f"the largest scores are too much alike: {error}") from error
    _, bundle = next(bundled([sample]))
    region = region_of(bundle, [fit_gpd(sample)], np.array([_ALMOST_ALL]), rate_known=True)
    s = np.linspace(region.low[0], region.high[0], _POINTS)
    x = (s - region.middle[0]) / region.half[0]
    log_ratio = chebyshev.read(region.curve, np.clip(x, -1, 1)[None, :])[0]
    theta, k = theta_of(s, bundle.top), float(bundle.peaks[0])
    shape = theta * np.exp(log_ratio)
    log_weight = k * (-log_ratio - shape) + log_ratio + s
    weight = np.exp(log_weight - log_weight.max())
    given = _Predictive(theta, weight / weight.sum(), k * shape, k - 1)
    root: Callable[..., float] = brentq
    log_excess = root(
        lambda z: _log_survival(given, z) - math.log(probability), -_FARTHEST, _FARTHEST, xtol=1e-12
    )
    return threshold + math.exp(log_excess) * float(bundle.unit[0])


def _log_survival(given: _Predictive, log_excess: float) -> float:
    reach = given.theta * math.exp(log_excess)
    within = reach > -1
    grown = np.log1p(np.where(within, reach, 0)) / given.total
    survived = np.where(within, np.exp(-given.power * np.log1p(grown)), 0)
    return float(np.log(max((given.weight * survived).sum(), 1e-300)))
