"""Fixed thresholds that tell values apart: what is kept of a million latencies.

The thresholds lie on a geometric grid, ten to a margin. A guarantee about quantiles is exact all
the same: a quantile lies in some cell between two thresholds, and each arm's values are counted at
that end of the cell which speaks for the hypothesis. What the grid costs is power: a candidate
has to be beyond its margin by up to one cell, a tenth of the margin, more.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models.evidence.bets import Floats

PER_MARGIN = 10
MOST = 20_000


@lru_cache(maxsize=64)
def thresholds(low: float, high: float, margin: float) -> Floats:
    """Give the thresholds from low to high or just beyond, the steps a tenth of the margin."""
    step = np.log1p(margin) / PER_MARGIN
    count = int(np.ceil(np.log(high / low) / step)) + 1
    if count > MOST:
        raise ValueError(
            f"{count:,} thresholds between {low:g} and {high:g} with a margin of {margin:g} are "
            f"more than {MOST:,}: choose a larger margin or a shorter range"
        )
    edges: Floats = low * np.exp(step * np.arange(count))
    edges.setflags(write=False)
    return edges


def cells(edges: Floats, values: Floats) -> NDArray[np.intp]:
    """Say how many thresholds each value exceeds; that is the number of its cell."""
    return np.searchsorted(edges, values, side="left")


def exceeding(histogram: Floats) -> Floats:
    """Count the values in a cell or above, for each cell, and for none beyond the last."""
    above: Floats = np.concatenate([np.cumsum(histogram[::-1])[::-1], [0.0]])
    return above
