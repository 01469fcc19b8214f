"""`rate` as Prometheus computes it, for all series of a window at once.

Source: extrapolatedRate in promql/functions.go of Prometheus. The increase between the first and
the last sample is extrapolated to the edges of the window, where these are within 1.1 mean
distances of samples; else by half a distance. It is never extrapolated to before a counter was 0.
"""

from typing import NamedTuple

import numpy as np

from features.sources.remote_write.editions import Edition
from features.telemetry.columns import Bools, Floats, Ints

_NEAR = 1.1


class Window(NamedTuple):
    """Samples in a window, by series and then by time, without stale markers."""

    rows: Ints
    times: Ints  # milliseconds
    values: Floats
    start: int  # milliseconds, as is the end
    end: int


class Rates(NamedTuple):
    """The rates of the series that have two samples or more."""

    rows: Ints
    values: Floats
    resets: Ints  # how often each fell


def rates(window: Window, edition: Edition) -> Rates:
    """Give the increase a second of each counter in the window."""
    rows, times, values = window.rows, window.times, window.values
    first = np.flatnonzero(np.diff(rows, prepend=-1))
    last = np.append(first[1:], len(rows))[: len(first)] - 1
    several = last > first
    increase, resets = _increases(rows, values, first, last)
    first, last = first[several], last[several]
    increase, resets = increase[several], resets[several]
    sampled = (times[last] - times[first]) / 1000
    distance = sampled / (last - first)
    begin = (times[first] - window.start) / 1000
    end = (window.end - times[last]) / 1000
    near = distance * _NEAR
    to_zero = _to_zero(values[first], increase, sampled)
    if edition.zero_first:
        begin = np.fmin(begin, to_zero)
        begin = np.where(begin < near, begin, distance / 2)
    else:
        begin = np.fmin(np.where(begin < near, begin, distance / 2), to_zero)
    end = np.where(end < near, end, distance / 2)
    factor = (sampled + begin + end) / sampled / ((window.end - window.start) / 1000)
    return Rates(rows[first], increase * factor, resets)


def _increases(rows: Ints, values: Floats, first: Ints, last: Ints) -> tuple[Floats, Ints]:
    """Give the increase from the first to the last sample, counters that fell made up for."""
    increase = values[last] - values[first]
    fell: Bools = (values[1:] < values[:-1]) & (rows[1:] == rows[:-1])
    at = np.flatnonzero(fell)
    of = np.searchsorted(first, at, side="right") - 1
    # One after the other, as Prometheus adds them: another order would round otherwise.
    np.add.at(increase, of, values[at])
    resets = np.bincount(of, minlength=len(first)).astype(np.int64)
    return increase, resets


def _to_zero(first: Floats, increase: Floats, sampled: Floats) -> Floats:
    """Tell how long before its first sample a counter was 0, if it grew as it did later."""
    grows = (increase > 0) & (first >= 0)
    shares = np.divide(first, increase, out=np.full(len(first), np.inf), where=grows)
    return np.where(grows, sampled * shares, np.inf)
