"""Hyperparameters of a Gaussian process, the likeliest under their priors.

The marginal likelihood and its gradient in closed form, in numpy: a fit
spares `fit_gpytorch_mll`'s overhead, and asking needs no PyTorch. The constant mean is
profiled out by generalised least squares.

Priors, on logarithms and normal: lengths about .3 sqrt(columns), as distances in a cube grow with
its dimension (Hvarfner et al. 2024, whose lengths are far longer and explore too little in few
dimensions); the outcome's variance about 1, since it is standardised; its noise small but free.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize
from scipy.linalg import lapack

from models.optimization.bayes.kernel import Kind, covariance, scaled, squares
from models.protocols import FloatArray

LENGTH, LENGTH_SD = 0.3, 1.0
SCALE_SD = 1.0
NOISE_LOG, NOISE_SD = -8.0, 3.0
FLOOR = 1e-7
"""Of the noise's variance: keeps the Cholesky factor sound when rows nearly coincide."""
_BOUNDS = {"length": (-4.6, 5.0), "scale": (-6.0, 6.0), "noise": (-18.0, 1.0)}
_START_LENGTHS = (0.5, 1.5)
_START_NOISE = -9.0
_MOST_STEPS = 100
_IMPOSSIBLE = 1e10


@dataclass(frozen=True, slots=True)
class Fit:
    kind: Kind
    theta: FloatArray
    """Logarithms of the lengths, then of the variance, then of the noise."""
    score: float
    """Log of the joint density of outcomes and hyperparameters."""

    @property
    def lengths(self) -> FloatArray:
        return np.exp(self.theta[:-2])

    @property
    def variance(self) -> float:
        return float(np.exp(self.theta[-2]))

    @property
    def noise(self) -> float:
        return float(np.exp(self.theta[-1])) + FLOOR


def fit(rows: FloatArray, outcomes: FloatArray, kind: Kind, hint: FloatArray | None = None) -> Fit:
    """Find them from two starts, or from a hint alone (an earlier fit's theta)."""
    columns = rows.shape[1]
    apart = squares(rows, rows)
    starts = [hint] if hint is not None and len(hint) == columns + 2 else _starts(columns)
    ends = [_BOUNDS["length"]] * columns + [_BOUNDS["scale"], _BOUNDS["noise"]]
    found = [
        optimize.minimize(
            _loss, start, (apart, outcomes, kind), jac=True, method="L-BFGS-B", bounds=ends,
            options={"maxiter": _MOST_STEPS},
        )
        for start in starts
    ]  # fmt: skip
    best = min(found, key=lambda each: float(each.fun))
    return Fit(kind, best.x, -float(best.fun))


def _starts(columns: int) -> list[FloatArray]:
    return [
        np.append(np.full(columns, np.log(length)), [0.0, _START_NOISE])
        for length in _START_LENGTHS
    ]


def _loss(
    theta: FloatArray, apart: FloatArray, outcomes: FloatArray, kind: Kind
) -> tuple[float, FloatArray]:
    variance, noise = np.exp(theta[-2:])
    lengths = np.exp(theta[:-2])
    shape, slope = covariance(scaled(apart, lengths), kind)
    total = variance * shape
    total.flat[:: len(total) + 1] += noise + FLOOR
    inverse, half_logdet = _inverted(total)
    if inverse is None:
        return _IMPOSSIBLE, np.zeros_like(theta)
    sums = inverse.sum(axis=1)
    residual = outcomes - (sums @ outcomes) / sums.sum()
    weights = inverse @ residual
    surplus = inverse - np.outer(weights, weights)
    pull = (surplus * slope).ravel() * variance
    gradient = np.empty_like(theta)
    gradient[:-2] = 0.5 * (apart.reshape(len(apart), -1) @ pull) / lengths**2
    gradient[-2] = 0.5 * variance * float(np.vdot(surplus, shape))
    gradient[-1] = 0.5 * noise * float(np.trace(surplus))
    misfit = 0.5 * float(residual @ weights) + half_logdet
    return _with_priors(theta, misfit + 0.5 * len(outcomes) * np.log(2 * np.pi), gradient)


def _with_priors(theta: FloatArray, loss: float, gradient: FloatArray) -> tuple[float, FloatArray]:
    columns = len(theta) - 2
    centre = np.append(np.full(columns, np.log(LENGTH * np.sqrt(columns))), [0.0, NOISE_LOG])
    spread = np.append(np.full(columns, LENGTH_SD), [SCALE_SD, NOISE_SD])
    away = (theta - centre) / spread
    return loss + 0.5 * float(away @ away), gradient + away / spread


def _inverted(matrix: FloatArray) -> tuple[Any, float]:
    factor, failed = lapack.dpotrf(matrix, lower=1)
    if failed:
        return None, 0.0
    inverse, _ = lapack.dpotri(factor, lower=1)
    lower = np.tril(inverse)
    return lower + np.tril(inverse, -1).T, float(np.log(np.diag(factor)).sum())
