"""How well a regime predicts its next observation: the four families, and what they remember.

Statistics of a dimension are its mean and the sum of squares about it; a line adds level, slope
and half the sum of squared innovations; Wishart adds, after all dimensions, the Cholesky factor of
its posterior scale matrix, row by row.
"""

import math
from typing import Any

from models.anomaly.bocpd_state import LEVEL, POISSON, TREND, WISHART, Prior
from models.compiled import compiled


@compiled
def _log_student(gamma: float, a: float, b: float, spread: float, error: float) -> float:
    """Student-t of 2a degrees of freedom and squared scale b / a * spread, at a distance."""
    twice = 2.0 * b * spread
    return gamma - 0.5 * math.log(math.pi * twice) - (a + 0.5) * math.log1p(error * error / twice)


@compiled
def _gamma(prior: Prior, n: int, dimensions: int) -> float:
    if n < prior.gamma.size:
        return float(prior.gamma[n])
    a = prior.alpha + 0.5 * n
    wide = 0.5 * dimensions if prior.family == WISHART else 0.5
    return math.lgamma(a + wide) - math.lgamma(a)


@compiled
def _level(prior: Prior, gamma: float, stats: Any, n: float, x: float) -> float:
    """Normal-Inverse-Gamma (Murphy 2007, section 3) from the mean and sum of squares so far."""
    k = prior.kappa + n
    b = prior.beta + 0.5 * (stats[1] + prior.kappa * n / k * stats[0] * stats[0])
    error = x - stats[0] * n / k
    return _log_student(gamma, prior.alpha + 0.5 * n, b, 1.0 + 1.0 / k, error)


@compiled
def _trend(prior: Prior, gamma: float, stats: Any, n: float, x: float) -> float:
    """Bayesian line through the regime: recursive least squares, whose gains depend on n only."""
    ones, sums = prior.kappa + n, 0.5 * n * (n - 1.0)
    squares = prior.slope_kappa + (n - 1.0) * n * (2.0 * n - 1.0) / 6.0
    determinant = ones * squares - sums * sums
    for_level = (squares - sums * n) / determinant
    for_slope = (ones * n - sums) / determinant
    spread = 1.0 + for_level + for_slope * n
    error = x - (stats[2] + stats[3] * n)
    b = prior.beta + stats[4]
    log_p = _log_student(gamma, prior.alpha + 0.5 * n, b, spread, error)
    stats[2] += for_level / spread * error
    stats[3] += for_slope / spread * error
    stats[4] += 0.5 * error * error / spread
    return log_p


@compiled
def _poisson(prior: Prior, rate: float, stats: Any, n: float, x: float) -> float:
    """Gamma prior of mean `rate`; the predictive is negative binomial, log x! left out."""
    a, b = prior.alpha + stats[0] * n, prior.alpha / rate + n
    ways = math.lgamma(a + x) - math.lgamma(a)
    log_p: float = ways - a * math.log1p(1.0 / b) - x * math.log1p(b)
    return log_p


@compiled
def _wishart(prior: Prior, gamma: float, stats: Any, n: float, x: Any, error: Any) -> float:
    """Normal-Inverse-Wishart (Murphy 2007, section 9) by the factor of its scale matrix."""
    d = x.size
    k = prior.kappa + n
    degrees = 2.0 * prior.alpha + d - 1.0 + n
    for j in range(d):
        error[j] = x[j] - stats[2 * j] * n / k
    factor = stats[2 * d :]
    for j in range(d):  # forward substitution, and the determinant on the way
        for i in range(j):
            error[j] -= factor[j * (j + 1) // 2 + i] * error[i]
        error[j] /= factor[j * (j + 1) // 2 + j]
    log_root, distance = 0.0, 0.0
    for j in range(d):
        log_root += math.log(factor[j * (j + 1) // 2 + j])
        distance += error[j] * error[j]
    share = k / (k + 1.0)
    log_p: float = gamma - 0.5 * d * math.log(math.pi / share) - log_root
    log_p -= 0.5 * (degrees + 1.0) * math.log1p(share * distance)
    for j in range(d):
        error[j] = (x[j] - stats[2 * j] * n / k) * math.sqrt(share)
    _add_to_factor(factor, error)
    return log_p


@compiled
def _add_to_factor(factor: Any, vector: Any) -> None:
    """Turn the Cholesky factor of A into that of A + v v'."""
    d = vector.size
    for j in range(d):
        at = j * (j + 1) // 2 + j
        long = math.hypot(factor[at], vector[j])
        cosine, sine = long / factor[at], vector[j] / factor[at]
        factor[at] = long
        for i in range(j + 1, d):
            below = i * (i + 1) // 2 + j
            factor[below] = (factor[below] + sine * vector[i]) / cosine
            vector[i] = cosine * vector[i] - sine * factor[below]


@compiled
def predict(prior: Prior, stats: Any, n: int, x: Any, scale: Any, scratch: Any) -> float:
    """Give the log density of an observation after n others of its regime, and take it in."""
    d, width = x.size, 5 if prior.family == TREND else 2
    gamma = 0.0 if prior.family == POISSON else _gamma(prior, n, d)
    log_p = 0.0
    if prior.family == WISHART:
        log_p = _wishart(prior, gamma, stats, float(n), x, scratch)
    for j in range(d):
        own = stats[width * j : width * (j + 1)]
        if prior.family == LEVEL:
            log_p += _level(prior, gamma, own, float(n), x[j])
        elif prior.family == TREND:
            log_p += _trend(prior, gamma, own, float(n), x[j])
        elif prior.family == POISSON:
            log_p += _poisson(prior, scale[j], own, float(n), x[j])
        off = x[j] - own[0]
        own[0] += off / (n + 1)
        own[1] += off * (x[j] - own[0])
    return log_p
