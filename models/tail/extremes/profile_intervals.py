"""Profile-likelihood intervals of anything asked of a tail, all of them in one search.

Each end of each interval is the largest or smallest value of its quantity on the surface of the
sample's likelihood region (see `region`): looked for on a grid of both angles, then by the
quadratic through ever closer points. Ends need no symmetry and no derivative, and a quantity that
is infinite somewhere in the region has an infinite end.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.protocols import BoolArray, FloatArray, IntArray
from models.tail.extremes.bundle import Bundle, bundled
from models.tail.extremes.gpd import GpdFit
from models.tail.extremes.problem import Problems, problems, values
from models.tail.extremes.quantity import Kind, Quantity
from models.tail.extremes.region import Region, region_of, surface

_T = np.linspace(0, np.pi, 13)[:, None]
_PHI = np.linspace(0, np.pi, 7)
_CIRCLE = np.concatenate([_PHI, -_PHI])[None, :]
_CLOSER = 8.0
_ROUNDS = 7
_SETTLED = 3e-4  # of the interval: the next round would gain less than a tenth of that
_BESIDE = np.array([-1, 0, 1])
_STENCIL = _BESIDE.astype(np.float64)


class Estimate(NamedTuple):
    """A quantity with its interval; NaN where a level would lie below the threshold."""

    value: float
    lower: float
    upper: float


def intervals(
    fits: Sequence[GpdFit],
    quantities: Sequence[Sequence[Quantity]],
    confidence: Sequence[float],
    *,
    rate_known: bool = False,
) -> list[list[Estimate]]:
    """Answer each fit's quantities at its confidence; the same bits whatever rides along.

    With `rate_known` the rate of exceedances counts as exact, as in Coles's examples.
    """
    answers: dict[int, list[Estimate]] = {}
    for places, bundle in bundled([fit.sample for fit in fits]):
        own = [fits[place] for place in places]
        level = np.array([confidence[place] for place in places])
        region = region_of(bundle, own, level, rate_known=rate_known)
        asked = problems(own, bundle.unit, [quantities[place] for place in places])
        for row, found in enumerate(_estimates(region, bundle, own, asked)):
            answers[places[row]] = found
    return [answers[place] for place in range(len(fits))]


def _estimates(
    region: Region, bundle: Bundle, fits: list[GpdFit], asked: Problems
) -> list[list[Estimate]]:
    value = _at_estimate(bundle, fits, asked)
    start = asked.side * value
    with np.errstate(invalid="ignore", divide="ignore"):  # infinite ends, where the mean is, or 0
        end = asked.side * np.fmax(_search(region, asked, start), start)
        found = _restored(np.stack([value, end]), fits, bundle, asked).T.tolist()
    rows: list[dict[int, Estimate]] = [{} for _ in fits]
    ends = zip(asked.row.tolist(), asked.place.tolist(), found, strict=True)
    # Both ends of a quantity follow each other, the upper one first.
    for (row, place, (middle, upper)), (_, _, (_, lower)) in zip(ends, ends, strict=True):
        rows[row][place] = Estimate(middle, lower, upper)
    return [[row[place] for place in range(len(row))] for row in rows]


def _at_estimate(bundle: Bundle, fits: list[GpdFit], asked: Problems) -> FloatArray:
    scale = np.array([fit.scale for fit in fits]) / bundle.unit
    shape = np.array([fit.shape for fit in fits])
    log_rate = np.log(np.array([fit.sample.peak_rate for fit in fits]))
    at = [column[asked.row][:, None, None] for column in (scale, shape, log_rate)]
    return values(asked, *at)[:, 0, 0]


def _restored(found: FloatArray, fits: list[GpdFit], bundle: Bundle, asked: Problems) -> FloatArray:
    """From the scales of the search back to what was asked."""
    threshold = np.array([fit.sample.threshold for fit in fits])[asked.row]
    unit = bundle.unit[asked.row]
    log_rate = np.log(np.array([fit.sample.peak_rate for fit in fits]))[asked.row]
    mean, chance = asked.kind == Kind.MEAN_BEYOND, asked.kind == Kind.EXCEEDANCE
    level = mean | (asked.kind == Kind.LEVEL)
    below = (level & (log_rate + asked.offset < 0)) | (chance & (asked.excess < 0))
    found = np.where(mean, -1 / np.where(mean & (found < 0), found, -0.0), found)
    found = np.where(level, threshold + unit * found, found)
    found = np.where(asked.kind == Kind.SCALE, unit * found, found)
    found = np.where(chance, np.minimum(np.exp(np.where(chance, found, 0)), 1), found)
    return np.where(below, np.nan, found)


class _Search(NamedTuple):
    """Where each problem's search stands."""

    t: FloatArray
    phi: FloatArray
    best: FloatArray
    step_t: FloatArray
    step_phi: FloatArray

    def rows(self, rows: IntArray) -> "_Search":
        return _Search._make(column[rows] for column in self)


def _search(region: Region, asked: Problems, start: FloatArray) -> FloatArray:
    """Maximise side x quantity over the surface, for each problem; `start` is at the estimate.

    A problem rests when it has settled, so that its rounds depend on nothing but itself.
    """
    state = _coarse(region, asked)
    best, moving = state.best, np.arange(len(start))
    each = region.rows(asked.row)
    for turn in range(_ROUNDS):
        state = _closer(each, asked, state)
        gained, found = state.best - best[moving], state.best - start
        best[moving] = state.best
        if turn == 0:
            continue  # the first may gain nothing and still have found the way
        on = np.flatnonzero(gained > _SETTLED * np.where(np.isinf(found), 1, found))
        if on.size == 0:
            break
        moving, start = moving[on], start[on]
        state, asked, each = state.rows(on), asked.rows(on), each.rows(on)
    return best


def _closer(each: Region, asked: Problems, state: _Search) -> _Search:
    """Look at the nine points around, and go to the top of the quadratic through them."""
    near_t = state.t[:, None] + state.step_t[:, None] * _STENCIL
    near_phi = state.phi[:, None] + state.step_phi[:, None] * _STENCIL
    at = surface(each, near_t[:, :, None], near_phi[:, None, :])
    found = asked.side[:, None, None] * values(asked, *at)
    shift_t, shift_phi = _shift(found)
    highest = np.fmax.reduce(found.reshape(len(found), -1), axis=1)
    # Far from the top the steps stay as long as they are.
    shorter = np.where((np.abs(shift_t) > 1) | (np.abs(shift_phi) > 1), 1.0, 1 / _CLOSER)
    return _Search(
        t=state.t + shift_t * state.step_t,
        phi=state.phi + shift_phi * state.step_phi,
        best=np.fmax(state.best, highest),
        step_t=state.step_t * shorter,
        step_phi=state.step_phi * shorter,
    )


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
    shift_t, shift_phi = _shift(_around(found, row, column, held))
    return _Search(
        t=_T[row, 0] + shift_t * _T[1, 0],
        phi=asked.side * (_PHI[column] + shift_phi * np.where(held, 0.0, _PHI[1])),
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


def _shift(found: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Step to the top of the quadratic through the stencil, at most two points away."""
    mid = found[:, 1, 1]
    down, up, left, right = found[:, 0, 1], found[:, 2, 1], found[:, 1, 0], found[:, 1, 2]
    slope_t, slope_phi = (up - down) / 2, (right - left) / 2
    bend_t, bend_phi = up - 2 * mid + down, right - 2 * mid + left
    cross = (found[:, 2, 2] - found[:, 2, 0] - found[:, 0, 2] + found[:, 0, 0]) / 4
    bend_phi = np.where(bend_phi == 0, -1.0, bend_phi)  # where phi is held there is no slope in it
    determinant = bend_t * bend_phi - cross * cross
    peaked = (bend_t < 0) & (bend_phi < 0) & (determinant > 0)
    safe = np.where(peaked, determinant, 1.0)
    shift_t = (cross * slope_phi - bend_phi * slope_t) / safe
    shift_phi = (cross * slope_t - bend_t * slope_phi) / safe
    # Where it is no hill, go to the highest of the nine.
    to_t, to_phi = np.divmod(found.reshape(len(found), -1).argmax(axis=1), 3)
    return (
        np.where(peaked, np.clip(shift_t, -2, 2), to_t - 1),
        np.where(peaked, np.clip(shift_phi, -2, 2), to_phi - 1),
    )
