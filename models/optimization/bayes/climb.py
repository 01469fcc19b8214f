"""The place where an acquisition is highest: many tried, the most promising climbed.

Tried are Sobol points of the whole cube and steps of four sizes away from the best known place,
without which the last digits of a narrow optimum are never found. The climb slides along the
floats by L-BFGS, and walks over neighbours in the integers and choices.
"""

from typing import NamedTuple, Protocol

import numpy as np
from scipy import optimize

from models.optimization.bayes.sobol import sobol
from models.optimization.bayes.space import Space
from models.protocols import FloatArray

STRIDES = (1e-3, 1e-2, 0.05, 0.15)
_WALKS = 3


class Effort(NamedTuple):
    """How much is tried; an acquisition that is drawn by Monte Carlo can afford less."""

    afar: int = 512
    near: int = 128
    climbs_afar: int = 4
    climbs_near: int = 2
    steps: int = 60


FULL = Effort()
LIGHT = Effort(128, 32, 2, 1, 15)


class Heights(Protocol):
    def at(self, rows: FloatArray) -> FloatArray: ...


class Acquisition(Heights, Protocol):
    def slope(self, row: FloatArray) -> tuple[float, FloatArray]: ...


def highest(
    acquisition: Acquisition,
    space: Space,
    incumbent: FloatArray,
    generator: np.random.Generator,
    effort: Effort = FULL,
) -> tuple[FloatArray, float]:
    """Find the row of the space where it is highest, and how high."""
    afar = space.snapped(sobol(space.width, effort.afar, int(generator.integers(2**31))))
    near = _nearby(space, incumbent, effort.near, generator)
    starts = [
        *_leading(acquisition, afar, effort.climbs_afar),
        *_leading(acquisition, near, effort.climbs_near),
    ]
    tops = [_climbed(acquisition, space, start, effort.steps) for start in starts]
    return max(tops, key=lambda top: top[1])


def _nearby(
    space: Space, incumbent: FloatArray, count: int, generator: np.random.Generator
) -> FloatArray:
    strides = np.repeat(STRIDES, count // len(STRIDES))[:, None]
    steps = generator.normal(size=(count, space.width)) * strides
    rows = space.snapped(np.clip(incumbent + steps, 0, 1))
    return np.concatenate([rows, space.neighbours(incumbent)])


def _leading(acquisition: Acquisition, rows: FloatArray, count: int) -> FloatArray:
    return rows[np.argsort(-acquisition.at(rows), kind="stable")[:count]]


def _climbed(
    acquisition: Acquisition, space: Space, row: FloatArray, steps: int
) -> tuple[FloatArray, float]:
    row, height = _slid(acquisition, space, row, steps)
    for _ in range(_WALKS):
        around = space.neighbours(row)
        if not len(around):
            break
        heights = acquisition.at(around)
        if heights.max() <= height:
            break
        row, height = _slid(acquisition, space, around[int(np.argmax(heights))], steps)
    return row, height


def _slid(
    acquisition: Acquisition, space: Space, row: FloatArray, steps: int
) -> tuple[FloatArray, float]:
    free = space.continuous()
    if not free.any():
        return row, float(acquisition.at(row[None])[0])

    def depth(floats: FloatArray) -> tuple[float, FloatArray]:
        at = row.copy()
        at[free] = floats
        height, slope = acquisition.slope(at)
        return -height, -slope[free]

    found = optimize.minimize(
        depth, row[free], jac=True, method="L-BFGS-B", bounds=[(0, 1)] * int(free.sum()),
        options={"maxiter": steps},
    )  # fmt: skip
    row = row.copy()
    row[free] = found.x
    return row, -float(found.fun)
