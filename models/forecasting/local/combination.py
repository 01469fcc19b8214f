"""An average of methods, in which each counts by how small its past errors were.

Bates and Granger, The combination of forecasts, Operational Research Quarterly 1969, with mean
absolute errors to a power in the place of variances.
"""

from collections.abc import Sequence

import numpy as np

from models.forecasting.local.members import Member
from models.protocols import FloatArray

_POWER = 4
_LEAST_SHARE = 0.01
"""Of the answer; what would count for less is left out."""


def combined(members: Sequence[Member], truths: FloatArray) -> tuple[dict[str, float], FloatArray]:
    """Give each method's share, and (origins, horizon): the average, in past and future alike.

    Methods are compared where all of them said something. One that says nothing for some origins
    is left out there, and the others fill its share.
    """
    forecasts = np.stack([each.forecasts for each in members])
    shares = _shares(np.abs(forecasts - truths))
    kept = np.flatnonzero(shares)
    there = ~np.isnan(forecasts[kept])
    weights = np.where(there, shares[kept][:, None, None], 0.0)
    total = np.sum(weights, axis=0)
    summed = np.sum(np.where(there, forecasts[kept], 0.0) * weights, axis=0)
    average = np.where(total > 0, summed / np.where(total > 0, total, 1.0), np.nan)
    return {members[at].name: float(shares[at]) for at in kept.tolist()}, average


def _shares(errors: FloatArray) -> FloatArray:
    """Give (methods,) that add up to one, of (methods, origins, horizon) errors."""
    answers = ~np.isnan(errors).all(axis=(1, 2))
    common = ~np.isnan(errors[answers]).any(axis=0)
    sizes = np.full(len(errors), np.inf)
    if common.any():
        sizes[answers] = errors[answers][:, common].mean(axis=1)
    else:
        sizes[answers] = 1.0
    least = np.min(sizes)
    perfect = least <= 0  # a series that never changes, or only repeats
    ratios = (sizes <= 0).astype(np.float64) if perfect else (least / sizes) ** _POWER
    ratios /= ratios.sum()
    ratios[ratios < _LEAST_SHARE] = 0.0
    return np.asarray(ratios / ratios.sum())
