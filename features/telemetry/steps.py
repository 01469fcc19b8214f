"""A metric in longer steps than those in which it was measured."""

import numpy as np

from features.telemetry.columns import Floats, Ints

# Epoch seconds begin on a Thursday, and weeks on a Monday.
_WEEK, _FIRST_MONDAY = 7 * 86_400, 4 * 86_400
# Of a step's intervals, so many must have been measured.
_SHARE = 0.5
# So many steps before and after one say how often the metric is measured about then.
_AROUND = 12
# So many values in one step say it by themselves: of fewer, two that are left look like a cadence.
_FEWEST = 4


def step_means(ts: Ints, values: Floats, step_s: int, until: int) -> tuple[Ints, Floats]:
    """Give each whole step's begin and mean, in order; NaN where less than half was measured.

    The step that is not over at `until` is left out: its mean is of another time of the day than
    the others'. Rows without a value are of the entity's other metrics, and say nothing of this
    one's cadence, which may change: it is that of about each step.
    """
    there = np.isfinite(values)
    ts, values = ts[there], values[there]
    if not ts.size:
        return ts, values
    shift = _FIRST_MONDAY if step_s % _WEEK == 0 else 0
    steps = (ts - shift) // step_s
    numbers = steps - steps[0]
    shortest = _shortest_within(ts, numbers)
    if not np.isfinite(shortest).any():
        return ts, values
    counts = np.bincount(numbers)
    totals = np.bincount(numbers, weights=values)
    cadence = _usual_around(shortest, float(step_s))
    telling = (counts >= _FEWEST) & np.isfinite(shortest)
    cadence = np.where(telling, np.maximum(cadence, shortest), cadence)
    enough = counts * cadence >= _SHARE * step_s
    means = np.where(enough, totals / np.maximum(counts, 1), np.nan)
    begins = (np.arange(len(means)) + steps[0]) * step_s + shift
    whole = begins + step_s <= until
    return begins[whole].astype(np.int64), means[whole]


def _shortest_within(ts: Ints, numbers: Ints) -> Floats:
    """Give each step's shortest distance of two values in it; infinite where there are none."""
    apart = np.diff(ts)
    within = (np.diff(numbers) == 0) & (apart > 0)
    found = np.full(int(numbers[-1]) + 1, np.inf)
    np.minimum.at(found, numbers[1:][within], apart[within].astype(np.float64))
    return found


def _usual_around(shortest: Floats, otherwise: float) -> Floats:
    """Give the median of what the steps around each one say; `otherwise` where they say nothing."""
    known = shortest[np.isfinite(shortest)]
    if np.all(known == known[0]) and known.size == shortest.size:
        return shortest
    beyond = np.full(_AROUND, np.inf)
    padded = np.concatenate([beyond, shortest, beyond])
    around = np.sort(np.lib.stride_tricks.sliding_window_view(padded, 2 * _AROUND + 1), axis=1)
    said = np.isfinite(around).sum(axis=1)
    median = around[np.arange(len(around)), np.maximum(said - 1, 0) // 2]
    return np.where(said > 0, median, otherwise)
