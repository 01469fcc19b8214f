"""Generalised Pareto fits by maximum likelihood, many samples at once.

The profile likelihood in one parameter is searched over its whole range, so no start can mislead
it; Newton's method on both parameters then gives the last digits and the observed information.
The shape is held at -1 and above: below, the likelihood grows without bound.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.protocols import BoolArray, FloatArray
from models.tail.extremes.bundle import Bundle, bundled
from models.tail.extremes.excesses import Excesses
from models.tail.extremes.gpd import GpdFit
from models.tail.extremes.gpd_likelihood import Likelihood, likelihood, newton_step
from models.tail.extremes.gpd_profile import (
    HIGHEST,
    LEAST_SHAPE,
    LOWEST,
    mean_log,
    profile,
    theta_of,
)

REGULAR_SHAPE = -0.5
"""Maximum likelihood is regular above (Smith 1985)."""

_GRID = np.concatenate(
    [np.arange(LOWEST, -4, 2.0), np.arange(-4, 12, 0.5), np.arange(12, HIGHEST + 1, 3.0)]
)
_FINER = np.linspace(0, 1, 17)
_NEWTON_STEPS = 8
_SETTLED = 1e-6  # after a step this small, the error is its square


class Maximum(NamedTuple):
    """Where each row of a bundle has its maximum, in units of its mean excess."""

    scale: FloatArray
    shape: FloatArray
    at: Likelihood
    regular: BoolArray


def fit_gpds(samples: Sequence[Excesses]) -> list[GpdFit]:
    """Fit each sample; a sample's fit is the same to the bit whatever others are fitted with it."""
    fits: dict[int, GpdFit] = {}
    for places, bundle in bundled(samples):
        found = maximise(bundle)
        for row, place in enumerate(places):
            fits[place] = _fit(samples[place], bundle, found, row)
    return [fits[place] for place in range(len(samples))]


def maximise(bundle: Bundle) -> Maximum:
    with np.errstate(over="ignore", invalid="ignore"):  # where the search finds no likelihood
        return _maximise(bundle)


def _maximise(bundle: Bundle) -> Maximum:
    s = _search(bundle)
    within = s < HIGHEST - 1
    theta = theta_of(s[:, None], bundle.top[:, None])
    best = np.maximum(mean_log(bundle, theta), LEAST_SHAPE)
    scale, shape, at = _climbed(bundle, (best / theta)[:, 0], best[:, 0], within)
    # At shape -1 the excesses are uniform, likeliest when they end at the largest.
    uniform = -bundle.peaks * np.log(bundle.top)
    edge = ~(at.value > uniform)
    return Maximum(
        scale=np.where(edge, bundle.top, scale),
        shape=np.where(edge, LEAST_SHAPE, shape),
        at=at._replace(value=np.where(edge, uniform, at.value)),
        regular=~edge & (shape > REGULAR_SHAPE) & within,
    )


def _search(bundle: Bundle) -> FloatArray:
    grid = np.broadcast_to(_GRID, (bundle.peaks.size, _GRID.size))
    likely = _profile_at(bundle, np.ascontiguousarray(grid))
    best = likely.argmax(axis=1)
    left = _GRID[np.maximum(best - 1, 0)]
    right = _GRID[np.minimum(best + 1, _GRID.size - 1)]
    finer = left[:, None] + (right - left)[:, None] * _FINER
    return _vertex(finer, _profile_at(bundle, finer))


def _profile_at(bundle: Bundle, s: FloatArray) -> FloatArray:
    theta = theta_of(s, bundle.top[:, None])
    shape = mean_log(bundle, theta)
    return np.where(shape >= LEAST_SHAPE, profile(shape, theta), -np.inf)


def _vertex(s: FloatArray, likely: FloatArray) -> FloatArray:
    """Take the top of the parabola through the best point and its neighbours."""
    rows = np.arange(len(s))
    best = likely.argmax(axis=1)
    middle = np.clip(best, 1, s.shape[1] - 2)
    low, mid, high = (likely[rows, middle + shift] for shift in (-1, 0, 1))
    inside = (best == middle) & np.isfinite(low)
    bend = np.where(inside, low - 2 * mid + high, -1.0)
    shift = np.where(inside, 0.5 * (low - high) / bend, 0.0)
    vertex: FloatArray = s[rows, best] + np.clip(shift, -0.5, 0.5) * (s[:, 1] - s[:, 0])
    return vertex


def _climbed(
    bundle: Bundle, scale: FloatArray, shape: FloatArray, moving: BoolArray
) -> tuple[FloatArray, FloatArray, Likelihood]:
    """Newton's method; a row that has settled rests, however long its neighbours take."""
    at = likelihood(bundle, scale, shape)
    for _ in range(_NEWTON_STEPS):
        step_scale, step_shape, peaked = newton_step(at)
        to_scale, to_shape = scale + step_scale, shape + step_shape
        moving = moving & peaked & (to_shape > LEAST_SHAPE) & (to_scale > 0)
        last = moving & (np.abs(step_shape) + np.abs(step_scale) / scale < _SETTLED)
        scale, shape = np.where(last, to_scale, scale), np.where(last, to_shape, shape)
        moving = moving & ~last
        if not moving.any():
            break
        then = likelihood(bundle, np.where(moving, to_scale, scale), to_shape)
        # At the maximum itself rounding makes the value flicker: a loss that small is no loss.
        moving = moving & (then.value >= at.value - 1e-9 * bundle.peaks)
        scale, shape = np.where(moving, to_scale, scale), np.where(moving, to_shape, shape)
        at = Likelihood(*(np.where(moving, new, old) for new, old in zip(then, at, strict=True)))
    return scale, shape, at


def _fit(sample: Excesses, bundle: Bundle, found: Maximum, row: int) -> GpdFit:
    unit = float(bundle.unit[row])
    scale, shape, at = found.scale[row], found.shape[row], found.at
    regular = bool(found.regular[row])
    return GpdFit(
        sample=sample,
        scale=float(scale) * unit,
        shape=float(shape),
        log_likelihood=float(at.value[row] - bundle.peaks[row] * np.log(unit)),
        covariance=_covariance(at, row, unit) if regular else np.full((2, 2), np.nan),
        regular=regular,
    )


def _covariance(at: Likelihood, row: int, unit: float) -> FloatArray:
    ss, sx, xx = at.scale_scale[row], at.scale_shape[row], at.shape_shape[row]
    determinant = ss * xx - sx * sx
    covariance: FloatArray = np.array([[-xx * unit * unit, sx * unit], [sx * unit, -ss]])
    covariance /= determinant
    return covariance
