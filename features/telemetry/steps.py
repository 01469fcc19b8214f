"""A metric in longer steps than those in which it was measured."""

import numpy as np

from features.telemetry.columns import Floats, Ints

# Epoch seconds begin on a Thursday, and weeks on a Monday.
_WEEK, _FIRST_MONDAY = 7 * 86_400, 4 * 86_400
# Of a step's intervals, so many must have been measured.
_SHARE = 0.5


def step_means(ts: Ints, values: Floats, step_s: int) -> tuple[Ints, Floats]:
    """Give each whole step's begin and mean, in order; NaN where less than half was measured.

    The step in progress is left out: its mean is of another time of the day than the others'.
    """
    if not ts.size:
        return ts, values
    interval = int(np.min(np.diff(ts))) if ts.size > 1 else step_s
    if interval >= step_s:
        return ts, values
    shift = _FIRST_MONDAY if step_s % _WEEK == 0 else 0
    steps = (ts - shift) // step_s
    numbers = steps - steps[0]
    there = np.isfinite(values)
    counts = np.bincount(numbers[there], minlength=numbers[-1] + 1)
    totals = np.bincount(numbers[there], weights=values[there], minlength=numbers[-1] + 1)
    enough = counts >= _SHARE * step_s / interval
    means = np.where(enough, totals / np.maximum(counts, 1), np.nan)
    begins = (np.arange(len(means)) + steps[0]) * step_s + shift
    whole = begins + step_s <= ts[-1] + interval
    return begins[whole].astype(np.int64), means[whole]
