"""The chance that each arm is the best, by quadrature, with a bound on its error.

Arms are independent given the posterior, so P(a is best) is the integral of the product of the
others' distribution functions against a's own. Over each cell of a grid that product only rises,
so its values at the two ends bracket the integral: the bracket is the stated error. The answer in
it is the mean of both ends, extrapolated from half the cells and all of them (Richardson).

Compiled, for a request asks for three arms or so, and numpy takes longer to be called a hundred
times than to compute; and row by row, so that a row has the same bits in any batch.
"""

import math
from typing import NamedTuple

import numpy as np

from models.compiled import compiled
from models.protocols import BoolArray, FloatArray

CELLS = 96  # even, for the extrapolation
_LINEAR = 5.0  # scales of the first arm over which cells hardly widen


class Chances(NamedTuple):
    probability: FloatArray
    """A row a request, a column an arm; every row sums to 1."""
    error: FloatArray
    """The most that any probability of the row may be off by."""


def reach_of(arms: int) -> float:
    """How many standard deviations out a normal arm's lower and upper ends are taken to be."""
    return 6.0 + math.log10(max(arms, 1)) / 4


@compiled
def nodes(lower: FloatArray, upper: FloatArray, scale: FloatArray) -> FloatArray:
    """Lay a grid over each row, with cells that widen with the distance from where it begins.

    It begins where the highest of the arms' lower ends lies, and is as fine as that arm is narrow.
    Any arm that matters at a distance from it is at least in proportion to that distance wide, or
    its own lower end would be the highest: so a geometric grid resolves narrow and wide arms alike.
    """
    rows = len(lower)
    grid = np.empty((rows, CELLS + 1))
    for row in range(rows):
        first = lower[row].argmax()
        low, width = lower[row, first], _LINEAR * scale[row, first]
        reach = max((upper[row].max() - low) / width, 1e-9)
        growth, power = math.exp(math.log(1 + reach) / CELLS), 1.0
        for k in range(CELLS + 1):
            grid[row, k] = low + width * (power - 1)
            power *= growth
    return grid


def chances(cumulative: FloatArray, eligible: BoolArray) -> Chances:
    """Integrate, given each arm's distribution function at the nodes: (rows, arms, nodes)."""
    edges = np.where(eligible[:, :, None], cumulative, 1.0)  # an arm that is out is never above
    edges[..., -1] = 1.0
    return Chances(*_integrals(edges, np.ascontiguousarray(eligible)))


@compiled
def _integrals(edges: FloatArray, eligible: BoolArray) -> tuple[FloatArray, FloatArray]:
    rows, arms, _ = edges.shape
    probability, error = np.zeros((rows, arms)), np.zeros(rows)
    for row in range(rows):
        below, total, widest = _products_of_others(edges[row]), 0.0, 0.0
        for arm in range(arms):
            least, most = _bracket(edges[row, arm], below[arm], 1)
            coarse = sum(_bracket(edges[row, arm], below[arm], 2)) / 2
            middle = min(max((2 * (least + most) - coarse) / 3, least), most)
            total += middle
            widest = max(widest, most - least)
            if eligible[row, arm]:
                probability[row, arm] = middle
        probability[row] /= total
        error[row] = widest + abs(total - 1)
    return probability, error


@compiled
def _products_of_others(factors: FloatArray) -> FloatArray:
    """Give for each arm and node the product of all other arms' factors there."""
    arms, count = factors.shape
    products = np.empty((arms, count))
    for k in range(count):
        before = 1.0
        for arm in range(arms):
            products[arm, k] = before
            before *= factors[arm, k]
        after = 1.0
        for arm in range(arms - 1, -1, -1):
            products[arm, k] *= after
            after *= factors[arm, k]
    return products


@compiled
def _bracket(edges: FloatArray, below: FloatArray, step: int) -> tuple[float, float]:
    least, most = 0.0, 0.0
    for k in range(0, len(edges) - step, step):
        rise = edges[k + step] - edges[k]
        least += rise * below[k]
        most += rise * below[k + step]
    return least, most
