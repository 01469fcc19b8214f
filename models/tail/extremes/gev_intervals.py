"""Profile-likelihood intervals of a generalised extreme value fit.

The end of an interval is where the likelihood has fallen by the allowance and its slope points the
quantity's way: Newton's method on those four equations (Venzon and Moolgavkar, A method for
computing profile-likelihood-based confidence intervals, Applied Statistics 1988). Their method is
apt to stray on a lopsided surface, so the allowance is raised in steps from nought, each start
continuing the line of the two ends before it.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from models.errors import TrainingDataError
from models.protocols import FloatArray
from models.tail.extremes.gev import GevFit
from models.tail.extremes.gev_likelihood import likelihood, possible
from models.tail.extremes.profile_intervals import Estimate

_STEPS = 6
_NEWTON, _HALVINGS = 30, 40
_SETTLED = 1e-10
_SERIES, _NEAR = 14, 0.1


class Surface(NamedTuple):
    """A quantity at one place: value, slope and curvature in (location, scale, shape)."""

    value: float
    slope: FloatArray
    curvature: FloatArray


GevQuantity = Callable[[FloatArray], Surface]


def location(at: FloatArray) -> Surface:
    return _parameter(at, 0)


def scale(at: FloatArray) -> Surface:
    return _parameter(at, 1)


def shape(at: FloatArray) -> Surface:
    return _parameter(at, 2)


def block_return_level(blocks: float) -> GevQuantity:
    """Give the level that one block in so many exceeds."""
    if not 1 < blocks < math.inf:
        raise TrainingDataError(
            f"the return period of {blocks:g} blocks is not valid: give more than 1"
        )
    odds = -math.log(-math.log1p(-1 / blocks))

    def level(at: FloatArray) -> Surface:
        factor, first, second = _growth(odds, float(at[2]))
        curvature = np.zeros((3, 3))
        curvature[1, 2] = curvature[2, 1] = first
        curvature[2, 2] = at[1] * second
        value = float(at[0] + at[1] * factor)
        return Surface(value, np.array([1.0, factor, at[1] * first]), curvature)

    return level


def gev_interval(fit: GevFit, quantity: GevQuantity, confidence: float) -> Estimate:
    """Give the quantity's profile-likelihood interval; an end that runs away is infinite."""
    if not fit.regular:
        raise TrainingDataError(
            f"a shape of {fit.shape:.3g} has no profile interval: the law ends close to the "
            "largest of the maxima"
        )
    best = np.array([fit.location, fit.scale, fit.shape])
    allowance = float(ndtri((1 + confidence) / 2) ** 2)
    lower, upper = (_end(fit, quantity, allowance, side) for side in (-1, 1))
    return Estimate(quantity(best).value, lower, upper)


def _end(fit: GevFit, quantity: GevQuantity, allowance: float, side: int) -> float:
    best = np.array([fit.location, fit.scale, fit.shape])
    way = fit.covariance @ quantity(best).slope
    per_root = way / np.sqrt(quantity(best).slope @ way)
    before, place = best, best
    for step in range(1, _STEPS + 1):
        root = math.sqrt(allowance) * step / _STEPS
        start = best + side * root * per_root if step == 1 else 2 * place - before
        found = _solved(fit, quantity, start, root)
        if found is None:
            return side * math.inf
        before, place = place, found
    return quantity(place).value


def _solved(
    fit: GevFit, quantity: GevQuantity, start: FloatArray, root: float
) -> FloatArray | None:
    """Find the place near the start where the deviance is root^2 and the slopes are in line."""
    unit = np.array([fit.scale, fit.scale, 1.0])
    place = _into_possible(fit, start)
    if place is None:
        return None
    multiplier = _multiplier(fit, quantity, place)
    for _ in range(_NEWTON):
        at, of = likelihood(fit.maxima, place), quantity(place)
        short = np.append(
            at.slope - multiplier * of.slope, at.value - fit.log_likelihood + root * root / 2
        )
        matrix = np.zeros((4, 4))
        matrix[:3, :3] = at.curvature - multiplier * of.curvature
        matrix[:3, 3], matrix[3, :3] = -of.slope, at.slope
        step = np.linalg.solve(matrix, -short)
        moved = _into_possible(fit, place + step[:3], place)
        if moved is None:
            return None
        place, multiplier = moved, multiplier + float(step[3])
        if np.abs(step[:3] / unit).max() < _SETTLED:
            return place
    return None


def _multiplier(fit: GevFit, quantity: GevQuantity, place: FloatArray) -> float:
    slope = quantity(place).slope
    return float(likelihood(fit.maxima, place).slope @ slope / (slope @ slope))


def _into_possible(
    fit: GevFit, place: FloatArray, back: FloatArray | None = None
) -> FloatArray | None:
    """Pull a place back until the law has room for all maxima; None when it never has."""
    back = np.array([fit.location, fit.scale, fit.shape]) if back is None else back
    for _ in range(_HALVINGS):
        if possible(fit.maxima, place):
            return place
        place = (place + back) / 2
    return None


def _parameter(at: FloatArray, index: int) -> Surface:
    return Surface(float(at[index]), np.eye(3)[index], np.zeros((3, 3)))


def _growth(odds: float, shape: float) -> tuple[float, float, float]:
    """Give (exp(shape odds) - 1) / shape with its two derivatives in the shape."""
    t = shape * odds
    if abs(t) < _NEAR:
        terms = [odds / math.factorial(n + 1) * t**n for n in range(_SERIES)]
        first = [n * odds / math.factorial(n + 1) * t ** (n - 1) for n in range(1, _SERIES)]
        second = [
            n * (n - 1) * odds / math.factorial(n + 1) * t ** (n - 2) for n in range(2, _SERIES)
        ]
        return sum(terms), odds * sum(first), odds * odds * sum(second)
    grown = math.exp(t)
    value = math.expm1(t) / shape
    first_derivative = (odds * grown - value) / shape
    return value, first_derivative, (odds * odds * grown - 2 * first_derivative) / shape
