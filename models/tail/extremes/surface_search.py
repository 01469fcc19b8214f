"""The highest point that each quantity reaches on the surface of its sample's likelihood region.

On a grid of both angles first, then on the quadratic through nine points ever closer together. No
derivative is needed, and a quantity that is infinite somewhere is found to be. The search itself is
compiled, one problem after the other, so that an end's bits depend on nothing beside it.
"""

import numpy as np

from models.protocols import FloatArray
from models.tail.extremes.problem import Problems
from models.tail.extremes.region import Region
from models.tail.extremes.surface_kernel import REGION, surface_maxima


def highest(region: Region, asked: Problems, start: FloatArray) -> FloatArray:
    """Maximise side x quantity over the surface, for each problem; `start` is at the estimate."""
    rows = np.column_stack([getattr(region, name) for name in REGION]).astype(np.float64)
    curve = np.ascontiguousarray(region.curve)
    found: FloatArray = surface_maxima(
        rows, curve, asked.row, asked.kind, asked.side, asked.offset, asked.excess, start
    )
    return found
