"""The chance that each of several normal arms is the best: best_arm.py's quadrature, compiled.

A request asks for three arms or so, and numpy takes longer to be called a hundred times than to
compute. Everything is done row by row, so that a row has the same bits in any batch.
"""

import math

import numpy as np

from models.compiled import compiled
from models.protocols import BoolArray, FloatArray


@compiled
def chances_of_best(
    mean: FloatArray,
    scale: FloatArray,
    eligible: BoolArray,
    far: float,
    cells: int,
    linear: float,
) -> tuple[FloatArray, FloatArray]:
    """Give, for rows of arms, the probabilities and the most that one of the row may be off by.

    `far` is how many scales out an arm's ends are taken to be, `linear` over how many scales of the
    arm that ends highest below the cells hardly widen.
    """
    rows, arms = mean.shape
    probability, error = np.zeros((rows, arms)), np.zeros(rows)
    edges, below = np.empty((arms, cells + 1)), np.empty((arms, cells + 1))
    for row in range(rows):
        grid = _grid(mean[row], scale[row], eligible[row], far, cells, linear)
        for arm in range(arms):
            for k in range(cells + 1):
                inside = eligible[row, arm] and k < cells  # an arm that is out is never above
                standard = (grid[k] - mean[row, arm]) / scale[row, arm]
                edges[arm, k] = _normal(standard) if inside else 1.0
        _products_of_others(edges, below)
        error[row] = _integrate(edges, below, eligible[row], probability[row])
    return probability, error


@compiled
def _grid(
    mean: FloatArray, scale: FloatArray, eligible: BoolArray, far: float, cells: int, linear: float
) -> FloatArray:
    low, high, first = -np.inf, -np.inf, 1.0
    for arm in range(len(mean)):
        if eligible[arm]:
            high = max(high, mean[arm] + far * scale[arm])
            if mean[arm] - far * scale[arm] > low:
                low, first = mean[arm] - far * scale[arm], scale[arm]
    reach = max((high - low) / (linear * first), 1e-9)
    growth = math.exp(math.log(1 + reach) / cells)
    grid, power = np.empty(cells + 1), 1.0
    for k in range(cells + 1):
        grid[k] = low + linear * first * (power - 1)
        power *= growth
    return grid


@compiled
def _normal(at: float) -> float:
    """Give the normal distribution function, exact in the tails too."""
    return 0.5 * math.erfc(-at / math.sqrt(2.0))


@compiled
def _products_of_others(factors: FloatArray, products: FloatArray) -> None:
    arms, nodes = factors.shape
    for k in range(nodes):
        before = 1.0
        for arm in range(arms):
            products[arm, k] = before
            before *= factors[arm, k]
        after = 1.0
        for arm in range(arms - 1, -1, -1):
            products[arm, k] *= after
            after *= factors[arm, k]


@compiled
def _integrate(
    edges: FloatArray, below: FloatArray, eligible: BoolArray, chances: FloatArray
) -> float:
    """Fill in the chances from both ends of each cell's bracket; give the error."""
    arms, total, widest = len(edges), 0.0, 0.0
    for arm in range(arms):
        least, most = _bracket(edges[arm], below[arm], 1)
        coarse = sum(_bracket(edges[arm], below[arm], 2)) / 2
        middle = min(max((2 * (least + most) - coarse) / 3, least), most)
        total += middle
        widest = max(widest, most - least)
        chances[arm] = middle if eligible[arm] else 0.0
    for arm in range(arms):
        chances[arm] /= total
    return widest + abs(total - 1)


@compiled
def _bracket(edges: FloatArray, below: FloatArray, step: int) -> tuple[float, float]:
    least, most = 0.0, 0.0
    for k in range(0, len(edges) - step, step):
        rise = edges[k + step] - edges[k]
        least += rise * below[k]
        most += rise * below[k + step]
    return least, most
