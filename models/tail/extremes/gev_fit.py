"""Generalised extreme value fits by maximum likelihood, with the observed information.

Newton's method from the probability-weighted moments; where the surface is not yet a hill it is
bent into one first, and a step that leaves the law no room for a maximum is halved.
"""

import numpy as np
from numpy.typing import ArrayLike

from models.errors import TrainingDataError
from models.protocols import FloatArray
from models.tail.extremes.gev import GevFit, checked_maxima
from models.tail.extremes.gev_likelihood import Likelihood, likelihood, possible
from models.tail.extremes.gev_pwm import pwm_parameters

REGULAR_SHAPE = -0.5
_STEPS, _HALVINGS = 200, 40
_SETTLED = 1e-10
_LEAST_SHAPE = -0.99  # under -1 the likelihood has no maximum


def fit_gev(maxima: ArrayLike) -> GevFit:
    seen = checked_maxima(maxima)
    centre, spread = float(np.median(seen)), float(np.std(seen))
    unit = (seen - centre) / spread
    best = _climb(unit, _start(unit))
    location, scale, shape = best.tolist()
    at = likelihood(unit, best)
    regular = shape > REGULAR_SHAPE
    back = np.array([spread, spread, 1.0])
    inverse = np.linalg.inv(-at.curvature) if regular else np.full((3, 3), np.nan)
    return GevFit(
        maxima=seen,
        location=centre + spread * location,
        scale=spread * scale,
        shape=shape,
        log_likelihood=at.value - seen.size * float(np.log(spread)),
        covariance=inverse * back * back[:, None],
        regular=regular,
    )


def _start(unit: FloatArray) -> FloatArray:
    """Take the moments' parameters where they leave room for all maxima, Gumbel's otherwise."""
    start = np.array(pwm_parameters(unit))
    start[2] = max(start[2], _LEAST_SHAPE / 2)
    if possible(unit, start):
        return start
    scale = float(np.sqrt(6) / np.pi)
    return np.array([float(unit.mean()) - 0.5772 * scale, scale, 1e-3])


def _climb(unit: FloatArray, start: FloatArray) -> FloatArray:
    place, at = start, likelihood(unit, start)
    for _ in range(_STEPS):
        step = _uphill(at)
        moved = _shortened(unit, place, step, at.value)
        if moved is None:
            break
        place, at = moved, likelihood(unit, moved)
        if np.abs(step).max() < _SETTLED:
            break
    if np.abs(at.slope).max() > 1e-4 * unit.size:
        raise TrainingDataError(
            f"the likelihood of the {unit.size} maxima has no maximum: their distribution "
            "may end at the largest of them"
        )
    return place


def _uphill(at: Likelihood) -> FloatArray:
    value, vector = np.linalg.eigh(-at.curvature)
    bent = np.maximum(np.abs(value), 1e-8 * np.abs(value).max())
    step: FloatArray = vector @ ((vector.T @ at.slope) / bent)
    return step


def _shortened(
    unit: FloatArray, place: FloatArray, step: FloatArray, value: float
) -> FloatArray | None:
    """Halve the step until it is possible and loses nothing; None when no step is."""
    for _ in range(_HALVINGS):
        moved = place + step
        if (
            moved[2] > _LEAST_SHAPE
            and possible(unit, moved)
            and likelihood(unit, moved).value >= value - 1e-12 * unit.size
        ):
            return moved
        step = step / 2
    return None
