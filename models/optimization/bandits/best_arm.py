"""The chance that each arm is the best, by quadrature, with a bound on its error.

Arms are independent given the posterior, so P(a is best) is the integral of the product of the
others' distribution functions against a's own. Over each cell of a grid that product only rises,
so its values at the two ends bracket the integral: the bracket is the stated error. The answer in
it is the mean of both ends, extrapolated from half the cells and all of them (Richardson).
"""

import math
from typing import NamedTuple

import numpy as np

from models import elementwise
from models.optimization.bandits.rowwise import products_of_others, row_sum
from models.protocols import BoolArray, FloatArray

CELLS = 96  # even, for the extrapolation
LINEAR = 5.0  # scales of the first arm over which cells hardly widen


class Chances(NamedTuple):
    probability: FloatArray
    """A row a request, a column an arm; every row sums to 1."""
    error: FloatArray
    """The most that any probability of the row may be off by."""


def nodes(low: FloatArray, high: FloatArray, scale: FloatArray) -> FloatArray:
    """Lay a grid over each row, from low to high, with cells that widen with the distance.

    `low` is where the highest of the arms' lower ends lies and `scale` that arm's. Any arm that
    matters at a distance from it is at least in proportion to that distance wide, or its own lower
    end would be the highest: so a geometric grid resolves narrow and wide arms alike.
    """
    reach = np.maximum((high - low) / (LINEAR * scale), 1e-9)
    growth = elementwise.exp(elementwise.log(1 + reach) / CELLS)
    powers = np.multiply.accumulate(np.repeat(growth[:, None], CELLS, axis=1), axis=1)
    inner = low[:, None] + LINEAR * scale[:, None] * (powers - 1)
    return np.concatenate([low[:, None], inner], axis=1)


def chances(cumulative: FloatArray, eligible: BoolArray) -> Chances:
    """Integrate, given each arm's distribution function at the nodes: (rows, arms, nodes)."""
    edges = np.where(eligible[:, :, None], cumulative, 1.0)  # an arm that is out is never above
    edges[..., -1] = 1.0
    below = products_of_others(edges)
    least, most = _bracket(edges, below)
    coarse = sum(_bracket(edges[..., ::2], below[..., ::2])) / 2
    middle = np.clip((2 * (least + most) - coarse) / 3, least, most)
    total = row_sum(middle)
    error = (most - least).max(axis=1) + np.abs(total - 1)
    return Chances(np.where(eligible, middle, 0.0) / total[:, None], error)


def _bracket(edges: FloatArray, below: FloatArray) -> tuple[FloatArray, FloatArray]:
    rises = np.diff(edges, axis=-1)
    return row_sum(rises * below[..., :-1]), row_sum(rises * below[..., 1:])


def reach_of(arms: int) -> float:
    """How many standard deviations out a normal arm's lower and upper ends are taken to be."""
    return 6.0 + math.log10(max(arms, 1)) / 4
