"""`histogram_quantile` of classic buckets, as Prometheus computes it.

Source: bucketQuantile in promql/quantile.go of Prometheus. Within the bucket that holds the rank
observations are taken to lie evenly; in the last bucket nothing is known but its lower bound.
"""

import math

import numpy as np

from features.sources.remote_write.editions import Edition
from features.telemetry.columns import Floats


def quantile(level: float, bounds: Floats, counts: Floats, edition: Edition) -> float:
    """Give the quantile of one histogram; NaN where there is none.

    `bounds` rise, and none comes twice; `counts` are of all observations up to each bound.
    """
    if len(bounds) < 2 or not math.isinf(bounds[-1]):  # noqa: PLR2004 - one bucket and the last
        return math.nan
    rising = _rising(counts, edition.same_bucket)
    observations = float(rising[-1])
    if observations == 0:
        return math.nan
    rank = level * observations
    bucket = int(np.searchsorted(rising[:-1], rank, side="left"))
    if bucket == len(bounds) - 1:
        return float(bounds[-2])
    if bucket == 0 and bounds[0] <= 0:
        return float(bounds[0])
    lower, below = (0.0, 0.0) if bucket == 0 else (float(bounds[bucket - 1]), rising[bucket - 1])
    share = (rank - below) / (rising[bucket] - below)
    return float(lower + (bounds[bucket] - lower) * share)


def _rising(counts: Floats, same: float) -> Floats:
    """Make the counts rise: scrapes and rates of single buckets do not always agree."""
    if not same:
        return np.fmax.accumulate(counts)
    found, before = counts.copy(), float(counts[0])
    for place, count in enumerate(counts.tolist()):
        near = abs(count - before) < same * (abs(count) + abs(before))
        before = before if near or count < before else count
        found[place] = before
    return found
