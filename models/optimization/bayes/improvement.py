"""The logarithm of expected improvement, of a mixture of models and under constraints.

Ament et al. 2023: in logarithms it has a gradient where the improvement itself is 0 to the bit.
Each member of the mixture weighs alike; a constraint multiplies by the chance that it is met.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import erfcx, log_ndtr

from models.optimization.bayes.gaussian import Gaussian
from models.protocols import FloatArray

_HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)
_NEAR, _FAR = -1.0, -1e4


@dataclass(frozen=True, slots=True)
class LogImprovement:
    members: tuple[Gaussian, ...]
    """Of the goal; none where nothing feasible is known, and then feasibility is sought."""
    bests: tuple[float, ...]
    """What each member is to be under."""
    limits: tuple[tuple[Gaussian, float], ...] = ()
    """Of each constraint: its model, and where 0 lies in the model's units."""

    def at(self, rows: FloatArray) -> FloatArray:
        total = np.zeros(len(rows))
        if self.members:
            each = [
                _at(*member.at(rows), best)
                for member, best in zip(self.members, self.bests, strict=True)
            ]
            total += np.logaddexp.reduce(each, axis=0) - np.log(len(each))
        for model, limit in self.limits:
            mean, deviation = model.at(rows)
            total += log_ndtr((limit - mean) / deviation)
        return total

    def slope(self, row: FloatArray) -> tuple[float, FloatArray]:
        """Give the value at one row and its gradient there."""
        total, gradient = 0.0, np.zeros_like(row)
        if self.members:
            both = [
                _slope(member, row, best)
                for member, best in zip(self.members, self.bests, strict=True)
            ]
            values = np.array([value for value, _ in both])
            summed = float(np.logaddexp.reduce(values))
            total = summed - float(np.log(len(values)))
            shares = np.exp(values - summed)
            gradient = shares @ np.array([slope for _, slope in both])
        for model, limit in self.limits:
            mean, deviation, up, out = model.slopes(row)
            z = (limit - mean) / deviation
            log_chance = float(log_ndtr(z))
            hazard = np.exp(-0.5 * z * z - _HALF_LOG_2PI - log_chance)
            total, gradient = total + log_chance, gradient - hazard * (up + z * out) / deviation
        return total, gradient


def _at(mean: FloatArray, deviation: FloatArray, best: float) -> FloatArray:
    log_value: FloatArray = _log_h((best - mean) / deviation) + np.log(deviation)
    return log_value


def _slope(model: Gaussian, row: FloatArray, best: float) -> tuple[float, FloatArray]:
    mean, deviation, up, out = model.slopes(row)
    z = (best - mean) / deviation
    log_h = float(_log_h(np.array([z]))[0])
    chance = float(np.exp(log_ndtr(z) - log_h))
    return log_h + float(np.log(deviation)), (out - chance * (up + z * out)) / deviation


def _log_h(z: FloatArray) -> FloatArray:
    """Take log(pdf(z) + z cdf(z)) without cancelling: three ranges, as Ament et al.'s eq. 9."""
    value = np.empty_like(z)
    near, far = z > _NEAR, z < _FAR
    close, mid, off = z[near], z[~near & ~far], z[far]
    density = np.exp(-0.5 * close**2 - _HALF_LOG_2PI)
    value[near] = np.log(density + close * np.exp(log_ndtr(close)))
    # pdf + z cdf = pdf (1 + z R), with Mills' ratio R = sqrt(pi/2) erfcx(-z / sqrt 2).
    left = 1 + mid * np.sqrt(np.pi / 2) * erfcx(-mid / np.sqrt(2))
    value[~near & ~far] = -0.5 * mid**2 - _HALF_LOG_2PI + np.log(np.maximum(left, 1e-300))
    value[far] = -0.5 * off**2 - _HALF_LOG_2PI - 2 * np.log(-off)
    return value
