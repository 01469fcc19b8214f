"""How much each forecaster counts, and how wide the interval about their mean is.

Weights minimise the squared error of past forecasts on the simplex (Granger and Ramanathan,
Improved methods of combining forecasts, Journal of Forecasting 1984, without the intercept), shrunk
towards equal ones, which are hard to beat where past errors are few (Smith and Wallis, A simple
explanation of the forecast combination puzzle, 2009). The interval is made of the quantiles of the
blend's own past errors, pooled over neighbouring distances ahead.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.optimize import nnls

from models.forecasting.rolling import PastForecasts
from models.protocols import FloatArray

_FEWEST_ORIGINS = 4  # of one or two, no error may be in sight
_DOUBT = 4.0  # separate looks at which the found and the equal weights count the same
_SUM_WEIGHT = 1e4  # how hard the sum of the weights is held to one, in units of the errors
_NEIGHBOURS = 8  # a distance ahead pools the errors of the nearest eighth on either side


@dataclass(frozen=True, slots=True)
class Blend:
    """One entity's weights, and the ends of its errors for each step ahead."""

    weights: Mapping[str, float]
    below: tuple[float, ...]
    above: tuple[float, ...]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        return cls(document["weights"], tuple(document["below"]), tuple(document["above"]))


def fit_blend(rolled: PastForecasts, level: float) -> Blend | None:
    """Fit weights and ends; None when no forecaster's past can be judged."""
    judged = [name for name, each in rolled.points.items() if _answered(each, rolled.truth)]
    if not judged:
        return None
    columns = np.stack([rolled.points[name] for name in judged], axis=-1)
    there = np.isfinite(columns).all(axis=-1) & np.isfinite(rolled.truth)
    if np.count_nonzero(there.any(axis=1)) < _FEWEST_ORIGINS:
        return None
    weights = blend_weights(columns[there], rolled.truth[there], rolled.stretches)
    errors = rolled.truth - (columns * weights).sum(axis=-1)
    below, above = _ends(errors, level)
    return Blend(dict(zip(judged, weights.tolist(), strict=True)), below, above)


def blend_weights(points: FloatArray, truth: FloatArray, looks: float) -> FloatArray:
    """Give weights of at least nought that add up to one; rows are past forecasts."""
    count = points.shape[1]
    errors = points - truth[:, None]
    unit = float(np.sqrt(np.mean(errors**2)))
    equal = np.full(count, 1 / count)
    if unit == 0:
        return equal
    # On the simplex the blend's error is the blend of the errors, so its square is to be least.
    gram = np.linalg.cholesky(errors.T @ errors / (unit**2 * len(errors)) + 1e-9 * np.eye(count)).T
    held = np.vstack([gram, np.full((1, count), _SUM_WEIGHT)])
    found, _ = nnls(held, np.append(np.zeros(count), _SUM_WEIGHT))
    trust = looks / (looks + _DOUBT)
    weights: FloatArray = trust * found / found.sum() + (1 - trust) * equal
    return weights


def _answered(points: FloatArray, truth: FloatArray) -> bool:
    """Whether it answered most of what could be judged."""
    judged = np.isfinite(truth)
    return bool(2 * np.count_nonzero(np.isfinite(points) & judged) > np.count_nonzero(judged) > 0)


def _ends(errors: FloatArray, level: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    horizon = errors.shape[1]
    reach = math.ceil(horizon / _NEIGHBOURS)
    below, above = [], []
    for ahead in range(horizon):
        near = errors[:, max(ahead - reach, 0) : ahead + reach + 1]
        pooled = near[np.isfinite(near)]
        pooled = pooled if pooled.size else errors[np.isfinite(errors)]
        low, high = np.quantile(pooled, ((1 - level) / 2, (1 + level) / 2)).tolist()
        below.append(low)
        above.append(high)
    return tuple(below), tuple(above)


def mean_weights(blends: Sequence[Blend]) -> dict[str, float]:
    """Average weights over entities, for one that was never judged."""
    names = sorted({name for blend in blends for name in blend.weights})
    return {
        name: sum(blend.weights.get(name, 0.0) for blend in blends) / len(blends) for name in names
    }
