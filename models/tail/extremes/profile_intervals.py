"""Profile-likelihood intervals of anything asked of a tail, all of them in one search.

Each end of each interval is the largest or smallest value of its quantity on the surface of the
sample's likelihood region (see `region`): looked for on a grid of both angles, then by the
quadratic through ever closer points. Ends need no symmetry and no derivative, and a quantity that
is infinite somewhere in the region has an infinite end.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.protocols import FloatArray
from models.tail.extremes.bundle import Bundle, bundled
from models.tail.extremes.gpd import GpdFit
from models.tail.extremes.problem import Problems, problems, values
from models.tail.extremes.quantity import Kind, Quantity
from models.tail.extremes.region import Region, lined_up, region_of, surface

_T = np.linspace(0, np.pi, 17)[:, None]
_PHI = np.linspace(0, np.pi, 9)
_CIRCLE = np.concatenate([_PHI, -_PHI])[None, :]
_CLOSER = 4.0
_ROUNDS = 3
_STENCIL = np.array([-1.0, 0.0, 1.0])


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
    with np.errstate(invalid="ignore"):  # infinite ends: their differences are never used
        end = asked.side * np.fmax(_search(region, asked), asked.side * value)
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


def _restored(
    found: FloatArray, fits: list[GpdFit], bundle: Bundle, asked: Problems
) -> FloatArray:
    """From excesses in units and logs of probabilities back to what was asked."""
    threshold = np.array([fit.sample.threshold for fit in fits])[asked.row]
    unit = bundle.unit[asked.row]
    log_rate = np.log(np.array([fit.sample.peak_rate for fit in fits]))[asked.row]
    level = (asked.kind == Kind.LEVEL) | (asked.kind == Kind.MEAN_BEYOND)
    chance = asked.kind == Kind.EXCEEDANCE
    below = (level & (log_rate + asked.offset < 0)) | (chance & (asked.excess < 0))
    found = np.where(level, threshold + unit * found, found)
    found = np.where(asked.kind == Kind.SCALE, unit * found, found)
    found = np.where(chance, np.minimum(np.exp(np.where(chance, found, 0)), 1), found)
    return np.where(below, np.nan, found)


def _search(region: Region, asked: Problems) -> FloatArray:
    """Maximise side x quantity over the surface, for each problem."""
    t, phi, best = _coarse(region, asked)
    free = asked.rate_matters & ~region.rate_known[asked.row]
    side = asked.side[:, None, None]
    step_t, step_phi = _T[1], np.where(free, _PHI[1], 0.0)
    each = lined_up(region, asked.row)
    for _ in range(_ROUNDS):
        step_t, step_phi = step_t / _CLOSER, step_phi / _CLOSER
        near_t = t[:, None] + step_t * _STENCIL
        near_phi = phi[:, None] + step_phi[:, None] * _STENCIL
        at = surface(each, near_t[:, :, None], near_phi[:, None, :])
        found = side * values(asked, *at)
        shift_t, shift_phi = _shift(found)
        t, phi = t + shift_t * step_t, phi + shift_phi * step_phi
        best = np.fmax(best, np.fmax.reduce(found.reshape(len(best), -1), axis=1))
    return best


def _coarse(region: Region, asked: Problems) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Search the grid; a side's half of the circle of phi holds the rates that help it."""
    rows = len(region.best)
    t = np.broadcast_to(_T, (rows, *_T.shape))
    both = surface(region, t, np.broadcast_to(_CIRCLE, (rows, *_CIRCLE.shape)))
    half = np.where(asked.side[:, None] > 0, 0, _PHI.size) + np.arange(_PHI.size)
    place = (asked.row[:, None, None], np.arange(_T.size)[None, :, None], half[:, None, :])
    found = asked.side[:, None, None] * values(asked, *(part[place] for part in both))
    ends_only = ~asked.rate_matters | region.rate_known[asked.row]
    found[ends_only, :, 1:-1] = -np.inf
    best = found.reshape(len(found), -1).argmax(axis=1)
    row, column = np.divmod(best, _PHI.size)
    largest = found[np.arange(len(found)), row, column]
    return _T[row, 0], asked.side * _PHI[column], largest


def _shift(found: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Step to the top of the quadratic through the stencil, at most two points away."""
    mid = found[:, 1, 1]
    down, up, left, right = found[:, 0, 1], found[:, 2, 1], found[:, 1, 0], found[:, 1, 2]
    slope_t, slope_phi = (up - down) / 2, (right - left) / 2
    bend_t, bend_phi = up - 2 * mid + down, right - 2 * mid + left
    cross = (found[:, 2, 2] - found[:, 2, 0] - found[:, 0, 2] + found[:, 0, 0]) / 4
    flat = bend_phi == 0
    bend_phi, cross = np.where(flat, -1.0, bend_phi), np.where(flat, 0.0, cross)
    slope_phi = np.where(flat, 0.0, slope_phi)
    determinant = bend_t * bend_phi - cross * cross
    peaked = (bend_t < 0) & (bend_phi < 0) & (determinant > 0)
    safe = np.where(peaked, determinant, 1.0)
    shift_t = (cross * slope_phi - bend_phi * slope_t) / safe
    shift_phi = (cross * slope_t - bend_t * slope_phi) / safe
    return (
        np.where(peaked, np.clip(shift_t, -2, 2), np.sign(slope_t)),
        np.where(peaked, np.clip(shift_phi, -2, 2), np.sign(slope_phi)),
    )
