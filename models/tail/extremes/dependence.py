"""Exceedances that come in clusters: how many count as one, and one peak for each.

Ferro and Segers, Inference for clusters of extreme values, JRSS B 2003: the times between
exceedances are a mixture of nought and an exponential, and the extremal index is the share that is
exponential. One over it is the mean size of a cluster. In a fit the peaks of clusters stand for
independent events (Coles 2001, section 5.3.3); each of them still counts `cluster_size` values.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from models.errors import TrainingDataError
from models.protocols import FloatArray, IntArray
from models.tail.extremes.excesses import Excesses, from_peaks, observed_values

_SHORT = 2  # times up to here are too short for the estimator that corrects for them


def intervals_extremal_index(values: ArrayLike, threshold: float) -> float:
    """Estimate the extremal index from the times between exceedances; 1 when independent."""
    between = np.diff(_times(values, threshold)).astype(np.float64)
    if between.size == 0:
        raise TrainingDataError(
            f"fewer than 2 values exceed {threshold:g}: there is no time between them"
        )
    if between.max() <= _SHORT:
        found = 2 * between.sum() ** 2 / (between.size * (between**2).sum())
    else:
        found = (
            2 * (between - 1).sum() ** 2 / (between.size * ((between - 1) * (between - 2)).sum())
        )
    return min(1.0, float(found))


def intervals_run_length(values: ArrayLike, threshold: float) -> int:
    """Give the run length at which the clusters are as many as the extremal index says."""
    index = intervals_extremal_index(values, threshold)
    between = np.sort(np.diff(_times(values, threshold)))[::-1]
    clusters = max(1, math.floor(index * (between.size + 1)))
    if clusters > between.size:
        return 1
    # Times as long as the longest one within a cluster cannot be told from it: only longer split.
    return int(between[clusters - 1]) + 1


def declustered(values: ArrayLike, threshold: float, run_length: int | None = None) -> Excesses:
    """Take one peak a cluster; the run length is estimated unless given."""
    seen = observed_values(values)
    if run_length is None:
        run_length = intervals_run_length(values, threshold)
    series, times = np.asarray(values, dtype=np.float64), _times(values, threshold)
    peaks = np.maximum.reduceat(series[times], _starts(times, run_length)) if times.size else times
    return from_peaks(peaks.astype(np.float64), threshold, seen.size, times.size)


def _times(values: ArrayLike, threshold: float) -> IntArray:
    """Give the places of the exceedances; a gap (NaN) is time that passes without one."""
    series: FloatArray = np.asarray(values, dtype=np.float64)
    return np.flatnonzero(series > threshold)


def _starts(times: IntArray, run_length: int) -> IntArray:
    """Give where each cluster starts among the times."""
    if run_length < 1:
        raise TrainingDataError(f"the run length is {run_length}; give at least 1")
    return np.flatnonzero(np.diff(times, prepend=times[:1] - run_length) >= run_length)
