"""The highest point that each quantity reaches on the surface of its sample's likelihood region.

On a grid of both angles first, then on the quadratic through nine points ever closer together. No
derivative is needed, and a quantity that is infinite somewhere is found to be.
"""

from typing import NamedTuple

import numpy as np

from models.protocols import BoolArray, FloatArray, IntArray
from models.tail.extremes.problem import Problems, values
from models.tail.extremes.region import Region, surface

_T = np.linspace(0, np.pi, 17)[:, None]
_PHI = np.linspace(0, np.pi, 9)
_CIRCLE = np.concatenate([_PHI, -_PHI])[None, :]
_CLOSER = 6.0
_ROUNDS = 7
_SETTLED = 3e-4  # of the interval: a quadratic that close to its points is right to a tenth of that
_BESIDE = np.array([-1, 0, 1])
_STENCIL = _BESIDE.astype(np.float64)


class _Search(NamedTuple):
    """Where each problem's search stands."""

    t: FloatArray
    phi: FloatArray
    best: FloatArray
    step_t: FloatArray
    step_phi: FloatArray

    def rows(self, rows: IntArray) -> "_Search":
        return _Search._make(column[rows] for column in self)


class _Top(NamedTuple):
    """The quadratic through nine points: where its top lies, in steps, and how high."""

    t: FloatArray
    phi: FloatArray
    height: FloatArray
    """Minus infinity where there is none among the nine."""
    flat: BoolArray
    """Whether there is nothing to climb: all nine alike, or one infinite."""


def highest(region: Region, asked: Problems, start: FloatArray) -> FloatArray:
    """Maximise side x quantity over the surface, for each problem; `start` is at the estimate.

    A problem rests when it has settled, so that its rounds depend on nothing but itself.
    """
    state = _coarse(region, asked)
    best, moving = state.best, np.arange(len(start))
    each = region.rows(asked.row)
    for _ in range(_ROUNDS):
        state, top = _closer(each, asked, state)
        span = np.where(np.isinf(state.best - start), 1, state.best - start)
        settled = top.flat | (np.abs(top.height - state.best) <= _SETTLED * span)
        best[moving] = np.where(settled, np.fmax(state.best, top.height), state.best)
        on = np.flatnonzero(~settled)
        if on.size == 0:
            break
        moving, start = moving[on], start[on]
        state, asked, each = state.rows(on), asked.rows(on), each.rows(on)
    return best


def _closer(each: Region, asked: Problems, state: _Search) -> tuple[_Search, _Top]:
    """Look at the nine points around, and go to the top of the quadratic through them."""
    near_t = state.t[:, None] + state.step_t[:, None] * _STENCIL
    near_phi = state.phi[:, None] + state.step_phi[:, None] * _STENCIL
    at = surface(each, near_t[:, :, None], near_phi[:, None, :])
    found = asked.side[:, None, None] * values(asked, *at)
    top = _top(found)
    # Far from the top the steps stay as long as they are.
    shorter = np.where(top.height > -np.inf, 1 / _CLOSER, 1.0)
    then = _Search(
        t=state.t + top.t * state.step_t,
        phi=state.phi + top.phi * state.step_phi,
        best=np.fmax(state.best, np.fmax.reduce(found.reshape(len(found), -1), axis=1)),
        step_t=state.step_t * shorter,
        step_phi=state.step_phi * shorter,
    )
    return then, top


def _coarse(region: Region, asked: Problems) -> _Search:
    """Search the grid; a side's half of the circle of phi holds the rates that help it."""
    rows = len(region.best)
    t = np.broadcast_to(_T, (rows, *_T.shape))
    both = surface(region, t, np.broadcast_to(_CIRCLE, (rows, *_CIRCLE.shape)))
    half = np.where(asked.side[:, None] > 0, 0, _PHI.size) + np.arange(_PHI.size)
    place = (asked.row[:, None, None], np.arange(_T.size)[None, :, None], half[:, None, :])
    found = asked.side[:, None, None] * values(asked, *(part[place] for part in both))
    held = ~asked.rate_matters | region.rate_known[asked.row]
    found[held, :, 1:-1] = -np.inf
    best = found.reshape(len(found), -1).argmax(axis=1)
    row, column = np.divmod(best, _PHI.size)
    largest = found[np.arange(len(found)), row, column]
    row = np.clip(row, 1, _T.size - 2)
    column = np.where(held, column, np.clip(column, 1, _PHI.size - 2))
    top = _top(_around(found, row, column, held))
    return _Search(
        t=_T[row, 0] + top.t * _T[1, 0],
        phi=asked.side * (_PHI[column] + top.phi * np.where(held, 0.0, _PHI[1])),
        best=largest,
        step_t=np.full(len(found), _T[1, 0] / _CLOSER),
        step_phi=np.where(held, 0.0, _PHI[1] / _CLOSER),
    )


def _around(found: FloatArray, row: IntArray, column: IntArray, held: BoolArray) -> FloatArray:
    """Take the nine points around a place of the grid; where phi is held, its column thrice."""
    problem = np.arange(len(found))[:, None, None]
    beside = np.where(held[:, None], 0, _BESIDE)
    nine: FloatArray = found[
        problem, (row[:, None] + _BESIDE)[:, :, None], (column[:, None] + beside)[:, None]
    ]
    return nine


def _top(found: FloatArray) -> _Top:
    mid = found[:, 1, 1]
    down, up, left, right = found[:, 0, 1], found[:, 2, 1], found[:, 1, 0], found[:, 1, 2]
    slope_t, slope_phi = (up - down) / 2, (right - left) / 2
    bend_t, bend_phi = up - 2 * mid + down, right - 2 * mid + left
    cross = (found[:, 2, 2] - found[:, 2, 0] - found[:, 0, 2] + found[:, 0, 0]) / 4
    bend_phi = np.where(bend_phi == 0, -1.0, bend_phi)  # where phi is held there is no slope in it
    determinant = bend_t * bend_phi - cross * cross
    peaked = (bend_t < 0) & (bend_phi < 0) & (determinant > 0)
    safe = np.where(peaked, determinant, 1.0)
    t = (cross * slope_phi - bend_phi * slope_t) / safe
    phi = (cross * slope_t - bend_t * slope_phi) / safe
    among = peaked & (np.abs(t) <= 1) & (np.abs(phi) <= 1)
    height = np.where(among, mid + (slope_t * t + slope_phi * phi) / 2, -np.inf)
    # Where it is no hill, go to the highest of the nine.
    nine = found.reshape(len(found), -1)
    largest = np.fmax.reduce(nine, axis=1)
    to_t, to_phi = np.divmod(nine.argmax(axis=1), 3)
    return _Top(
        t=np.where(peaked, np.minimum(np.maximum(t, -2), 2), to_t - 1),
        phi=np.where(peaked, np.minimum(np.maximum(phi, -2), 2), to_phi - 1),
        height=height,
        flat=(largest == np.fmin.reduce(nine, axis=1)) | (largest == np.inf),
    )
