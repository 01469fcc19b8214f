"""Finds entities whose quantiles lie within one bucket of their histogram, and so say little.

`histogram_quantile` takes requests to lie evenly within a bucket: its quantiles there are a
straight line in their levels, whatever the latencies are. Within the first bucket, which begins at
nought, p50 : p95 : p99 = .5 : .95 : .99; within a later one p99 - p95 : p95 - p50 = .04 : .45. No
measured latencies do that to the last digits, though ones that are made up evenly may. So two
quantiles on a line through nought, or three on any, show a bucket. All that is known then is the
bucket: that requests took no longer than its end, and no less than its begin.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from models.protocols import BoolArray, Columns, FloatArray
from models.tail.requests import QUANTILES

_ROUNDING = 1e-6
"""Relative: what arithmetic leaves of equality, also where numbers were kept as float32."""
_USUAL = 0.5
"""Within one bucket in more intervals than this, the median of the medians is a bucket, too."""


class Bucket(NamedTuple):
    """Between which latencies, in ms, nothing can be told apart."""

    begin: float
    end: float


def usual_buckets(columns: Columns) -> dict[str, Bucket]:
    """Give the bucket of each entity that lies within one in most of its measured intervals.

    An interval of which single requests were sampled is measured, whatever its quantiles.
    """
    if "p50_ms" not in columns:
        return {}
    begin, end = _bounds(columns)
    within = np.isfinite(end) & ~_sampled(columns)
    measured = np.isfinite(columns["p50_ms"])
    found = {}
    for entity in np.unique(columns["entity"][within]):
        own = columns["entity"] == entity
        inside = own & within
        if inside.sum() > _USUAL * (own & measured).sum():
            ends = (float(np.median(each[inside])) for each in (begin, end))
            found[str(entity)] = Bucket(*ends)
    return found


def find_bucket(quantiles: Mapping[str, float]) -> Bucket | None:
    """Give the bucket that one interval's quantiles lie within, by name; None where they do not."""
    columns = {name: np.array([value]) for name, value in quantiles.items()}
    if "p50_ms" not in columns:
        return None
    begin, end = _bounds(columns)
    return Bucket(float(begin[0]), float(end[0])) if np.isfinite(end[0]) else None


def _sampled(columns: Columns) -> BoolArray:
    if "exemplars" not in columns:
        return np.zeros(len(columns["p50_ms"]), dtype=np.bool_)
    sampled: BoolArray = np.any(columns["exemplars"] > 0, axis=1)
    return sampled


def _bounds(columns: Columns) -> tuple[FloatArray, FloatArray]:
    """Give each interval's bucket; NaN where its quantiles do not show one."""
    begin, end = (np.full(len(columns["p50_ms"]), np.nan) for _ in range(2))
    names = [name for name in QUANTILES if name in columns]
    values = np.stack([np.asarray(columns[name], dtype=np.float64) for name in names], axis=1)
    there = np.isfinite(values) & (np.nan_to_num(values) > 0)
    for pattern in np.unique(there, axis=0):
        known = np.flatnonzero(pattern)
        if not pattern[0] or known.size < 2:  # noqa: PLR2004  a line has two points
            continue
        rows = np.flatnonzero((there == pattern).all(axis=1))
        levels = [QUANTILES[names[at]] for at in known]
        begin[rows], end[rows] = _of_lines(values[np.ix_(rows, known)], levels)
    return begin, end


def _of_lines(values: FloatArray, levels: Sequence[float]) -> tuple[FloatArray, FloatArray]:
    """Carry each line on to where its bucket begins and ends at most.

    The share of requests below the bucket is 0 at least; up to its end it is less than the level
    of the first quantile beyond, 1 where there is none.
    """
    slope = (values[:, 1] - values[:, 0]) / (levels[1] - levels[0])
    from_nought = np.abs(values[:, 0] - slope * levels[0]) <= _ROUNDING * values[:, 0]
    on_line, count = np.ones(len(values), dtype=np.bool_), np.full(len(values), 2)
    last, beyond = values[:, 1].copy(), np.full(len(values), 1.0)
    top = np.full(len(values), levels[1])
    for at, level in list(enumerate(levels))[2:]:
        expected = last + slope * (level - top)
        ends_here = on_line & (np.abs(values[:, at] - expected) > _ROUNDING * values[:, at])
        beyond[ends_here] = level
        on_line &= ~ends_here
        last[on_line], top[on_line] = values[on_line, at], level
        count[on_line] += 1
    within = (slope > 0) & (from_nought | (count > 2))  # noqa: PLR2004  any two are on a line
    begin = np.where(from_nought, 0.0, np.maximum(values[:, 0] - slope * levels[0], 0.0))
    end = last + slope * (beyond - top)
    return np.where(within, begin, np.nan), np.where(within, end, np.nan)
