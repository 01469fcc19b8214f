"""A Gaussian process that has seen rows: what it expects elsewhere, how surely, and the slopes."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from models.optimization.bayes.fit import Fit
from models.optimization.bayes.kernel import covariance, scaled, squares
from models.protocols import FloatArray

_LEAST_VARIANCE = 1e-14


@dataclass(frozen=True, slots=True)
class Gaussian:
    fit: Fit
    rows: FloatArray
    centre: float
    weights: FloatArray
    inverse: FloatArray

    @classmethod
    def condition(cls, fit: Fit, rows: FloatArray, outcomes: FloatArray) -> Self:
        shape, _ = covariance(scaled(squares(rows, rows), fit.lengths), fit.kind)
        factor = cho_factor(fit.variance * shape + fit.noise * np.eye(len(rows)), lower=True)
        inverse = cho_solve(factor, np.eye(len(rows)))
        sums = inverse.sum(axis=1)
        centre = float((sums @ outcomes) / sums.sum())
        return cls(fit, rows, centre, inverse @ (outcomes - centre), inverse)

    def believing(self, pending: FloatArray, outcomes: FloatArray) -> Self:
        """Take it that trials on their way come out as expected: surer there, nowhere else moved.

        Ginsbourger et al. 2010, the kriging believer.
        """
        if not len(pending):
            return self
        expected, _ = self.at(pending)
        rows = np.concatenate([self.rows, pending])
        return self.condition(self.fit, rows, np.append(outcomes, expected))

    def at(self, rows: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Expect, for each row, a mean and a standard deviation (without noise)."""
        shape, _ = covariance(scaled(squares(rows, self.rows), self.fit.lengths), self.fit.kind)
        mean, deviation, _ = self._moments(shape * self.fit.variance)
        return mean, deviation

    def slopes(self, row: FloatArray) -> tuple[float, float, FloatArray, FloatArray]:
        """Expect the mean and deviation at one row, and their gradients there."""
        steps = (row - self.rows) / self.fit.lengths
        shape, slope = covariance((steps**2).sum(axis=1)[None], self.fit.kind)
        mean, deviation, shrunk = self._moments(shape * self.fit.variance)
        moved = -self.fit.variance * slope[0][:, None] * steps / self.fit.lengths
        return (
            float(mean[0]), float(deviation[0]), self.weights @ moved,
            -(shrunk[0] @ moved) / float(deviation[0]),
        )  # fmt: skip

    def _moments(self, crossed: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        shrunk = crossed @ self.inverse
        left = self.fit.variance - (shrunk * crossed).sum(axis=1)
        deviation = np.sqrt(np.maximum(left, _LEAST_VARIANCE))
        return self.centre + crossed @ self.weights, deviation, shrunk
