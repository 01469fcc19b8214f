"""Says whether the first values of a stream part in two groups, one after the other.

The scale of a stream is learnt from its first values. By that scale alone, correlated or skewed
noise among them looks like a change. So they must part: all n - m values before lie on one side of
all m values since, there are two or more of each, and

1. the gap between the groups is wider than either group, and
2. C(n, m) gap / width is at least the expected run, the prior odds against a change. If the order
   of the values means nothing, m given places hold the m largest in one of C(n, m) cases; and the
   chance of a gap falls as width / gap in the heaviest tails considered, those of index 1.

The width is that of the wider group, and at least the smallest step between two values: whole
numbers that repeat are no proof. Neither unit nor origin matters.
docs/decisions/first-values-of-a-stream.md has the measurements.
"""

import math
from typing import Any

import numpy as np

from models.anomaly.bocpd_state import F64Array
from models.compiled import compiled

FEWEST = 2  # on either side: a lone value is a spike until a second one confirms it
ROUNDING = 1e-9  # a tie stays a tie in any unit


@compiled
def _finest_step(ordered: F64Array) -> float:
    """Give the smallest distance between two different values; infinite when all are equal."""
    least = math.inf
    for i in range(1, ordered.size):
        if ordered[i] > ordered[i - 1]:
            least = min(least, ordered[i] - ordered[i - 1])
    return least


@compiled
def _parts_at(values: F64Array, split: int, finest: float, ways: float, odds: float) -> bool:
    before, since = values[:split], values[split:]
    gap = max(since.min() - before.max(), before.min() - since.max())
    width = max(before.max() - before.min(), since.max() - since.min())
    needed = odds * max(width, finest) * (1.0 - ROUNDING)
    return bool(gap > width * (1.0 + ROUNDING) and ways * gap >= needed)


@compiled
def _coordinate_parts(values: F64Array, odds: float) -> bool:
    count, ways = values.size, 1.0
    finest = _finest_step(np.sort(values))
    for split in range(1, count - FEWEST + 1):
        ways *= (count - split + 1) / split
        if split >= FEWEST and _parts_at(values, split, finest, ways, odds):
            return True
    return False


@compiled
def parts(stash: Any, count: int, odds: float) -> bool:
    """Tell whether the first `count` values part in any coordinate, against such odds."""
    found = False
    for j in range(stash.shape[1]):
        found = found or _coordinate_parts(stash[:count, j].copy(), odds)
    return found
