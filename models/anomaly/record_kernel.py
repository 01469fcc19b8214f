"""How often a stream reaches a level, told from the highest peaks that it ever had.

Observations that are odd together are one excursion and leave one peak, so that peaks depend on
each other little however much scores do. With k peaks down to u in n observations, and excesses
over u that are exponential with an unknown mean, which is integrated out, a level x is reached by

    (k / n) (1 + (x - u) / (sum of the excesses))^-(k - 1)       of the observations.

Peaks are of scores, whose tail should therefore be about exponential (minus a log density, the log
of a ratio), and of the walk max(0, walk + log bet), whose tail is exponential when bets depend on
each other for a while and lose on average (Lundberg's inequality), and has mean 1 or less when
p-values are independent. They are kept for one era to two, then forgotten.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.compiled import compiled

F64Array = NDArray[np.float64]
I64Array = NDArray[np.int64]

PEAKS = 16
SCORE, WALK = 0, 1
THIS, LAST = 0, 1
FEWEST = 4
PER_PEAK = 64
"""Observations to a peak while the record is young, so that peaks are those of the tail only."""
_MARGIN = 4.0  # tails of autoregressions were seen to be up to twice as heavy as extrapolated
LEAST_EXCESS = 0.25
"""Of scores, on average: a Gaussian's, by `models.anomaly.distance`; of lighter tails nothing
more is taken for granted."""
LEAST_IN_STEPS = 1.0
"""Of the walk (theory's mean), and of scores of observations that come in steps, such as counts:
of those the highest are often all alike, and say nothing of the next step."""


class Record(NamedTuple):
    peaks: NDArray[np.float32]
    """(streams, score and walk, this era and the last, PEAKS): descending."""
    held: I64Array
    """(streams, score and walk, this era and the last): how many of them there are."""
    seen: I64Array
    """(streams, this era and the last): observations."""
    walk: F64Array
    """(streams): evidence of the present excursion, in nats."""
    high: F64Array
    """(streams, score and walk): the highest of the present excursion."""
    told: I64Array
    """(streams): 1 when the present excursion has rung."""


@compiled
def _keep(record: Record, slot: int, which: int, value: float) -> None:
    """Put a peak into its place; the lowest goes."""
    peaks, held = record.peaks[slot, which, THIS], int(record.held[slot, which, THIS])
    at = min(held, peaks.size - 1)
    if held == peaks.size and not value > peaks[at]:
        return
    while at > 0 and peaks[at - 1] < value:
        peaks[at] = peaks[at - 1]
        at -= 1
    peaks[at] = value
    record.held[slot, which, THIS] = min(held + 1, peaks.size)


@compiled
def _highest(record: Record, slot: int, which: int, into: F64Array) -> int:
    """Merge the two eras' peaks; give how many there are, at most as many as an era's."""
    this, last = record.peaks[slot, which, THIS], record.peaks[slot, which, LAST]
    some, others = int(record.held[slot, which, THIS]), int(record.held[slot, which, LAST])
    i, j, count = 0, 0, min(some + others, into.size)
    for at in range(count):
        if j >= others or (i < some and this[i] >= last[j]):
            into[at] = this[i]
            i += 1
        else:
            into[at] = last[j]
            j += 1
    return count


@compiled
def may_be_rare(record: Record, slot: int, which: int, value: float) -> bool:
    """Say no at once when an era alone has as many peaks above it as are kept."""
    for era in (THIS, LAST):
        full = record.held[slot, which, era] == PEAKS
        if full and value <= record.peaks[slot, which, era, PEAKS - 1]:
            return False
    return True


@compiled
def level(record: Record, slot: int, which: int, rate: float, least_excess: float) -> float:
    """Give the level that is reached at this rate; infinite while too few peaks are known."""
    peaks = np.empty(PEAKS)
    all_ = float(record.seen[slot, THIS] + record.seen[slot, LAST])
    count = min(_highest(record, slot, which, peaks), max(FEWEST, int(all_) // PER_PEAK))
    if count < FEWEST or rate <= 0.0:
        return math.inf
    lowest, excess = peaks[count - 1], 0.0
    for i in range(count - 1):
        excess += peaks[i] - lowest
    excess = max(excess, least_excess * (count - 1))
    times = max(1.0, _MARGIN * count / (all_ * rate))
    return float(lowest + excess * (math.pow(times, 1.0 / (count - 1)) - 1.0))


@compiled
def end_excursion(record: Record, slot: int) -> None:
    for which in (SCORE, WALK):
        _keep(record, slot, which, record.high[slot, which])
        record.high[slot, which] = 0.0
    record.told[slot] = 0


@compiled
def count_in(record: Record, slot: int, era: int) -> None:
    """Count an observation; after an era of them, what is older than it is forgotten."""
    record.seen[slot, THIS] += 1
    if record.seen[slot, THIS] < era:
        return
    record.seen[slot, LAST] = record.seen[slot, THIS]
    record.seen[slot, THIS] = 0
    for which in (SCORE, WALK):
        record.held[slot, which, LAST] = record.held[slot, which, THIS]
        record.held[slot, which, THIS] = 0
        for i in range(PEAKS):
            record.peaks[slot, which, LAST, i] = record.peaks[slot, which, THIS, i]
