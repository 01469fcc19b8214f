"""The run-length posterior by its definition, one hypothesis a beginning, none left out.

A second implementation: each predictive density is the ratio of two marginal likelihoods in closed
form (or scipy's distribution), computed afresh from all the observations of the regime.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import gammaln, logsumexp

from models.anomaly.bocpd_settings import BocpdSettings

Law = tuple[float, float, float]
"""A Student's t: degrees of freedom, location, scale."""
Densities = Callable[[Any, Any], Any]
"""Of an observation, given all before it: its log density for each beginning of its regime."""


def densities_of(settings: BocpdSettings, rate: float = 1.0) -> Densities:
    families = {"level": _level, "trend": _line}
    if settings.family == "poisson":
        return lambda past, x: _each(past, lambda own: _poisson(settings, rate, own, x))
    if settings.family == "wishart":
        return lambda past, x: _each(past, lambda own: _wishart(settings, own, x))
    return lambda past, x: _students(settings, families[settings.family], past, x)


def _each(past: Any, density: Callable[[Any], float]) -> Any:
    return np.array([density(past[start:]) for start in range(len(past) + 1)])


def _students(
    settings: BocpdSettings, law: Callable[[BocpdSettings, Any], Law], past: Any, x: Any
) -> Any:
    """Ask scipy once for all beginnings: a question costs it a tenth of a millisecond."""
    total = np.zeros(len(past) + 1)
    for j in range(len(x)):
        laws = np.array([law(settings, past[start:, j]) for start in range(len(past) + 1)])
        total += stats.t.logpdf(x[j], *laws.T)
    return total


def run_lengths(
    values: Any, densities_of_one: Densities, expected_run: float, weight: float = 1.0
) -> tuple[Any, Any, Any]:
    """Give, after each observation, the log posterior of beginnings 0..t; and each surprise.

    And where the last segment of the best segmentation begins, by the recursion of Pagotto's ocp.
    """
    hazard = 1 / expected_run
    log_p, posteriors, surprises = np.array([0.0]), [], []
    best, chosen = [0.0, 0.0], []
    for t, x in enumerate(values):
        densities = densities_of_one(values[:t], x)
        surprises.append(-logsumexp(log_p + densities) + logsumexp(log_p))
        joint = log_p + weight * densities
        joint -= logsumexp(joint)
        posteriors.append(joint)
        log_p = np.append(joint + math.log1p(-hazard), math.log(hazard))
        scores = log_p + np.array(best)
        chosen.append(int(np.argmax(scores)))
        best.append(float(scores.max()))
    return posteriors, np.array(surprises), np.array(chosen)


def _level(settings: BocpdSettings, y: Any) -> Law:
    n = len(y)
    k = settings.kappa + n
    mean = y.sum() / k
    beta = settings.beta + (np.square(y).sum() - k * mean**2) / 2
    alpha = settings.alpha + n / 2
    return 2 * alpha, mean, math.sqrt(beta * (k + 1) / (alpha * k))


def _line(settings: BocpdSettings, y: Any) -> Law:
    """Bayesian linear regression of the regime on (1, time) by matrices."""
    n = len(y)
    time = np.arange(n + 1.0)
    design = np.stack([np.ones(n + 1), time], axis=1)
    prior = np.diag([settings.kappa, settings.slope_kappa])
    precision = prior + design[:n].T @ design[:n]
    coefficients = np.linalg.solve(precision, design[:n].T @ y)
    alpha = settings.alpha + n / 2
    beta = settings.beta + (y @ y - coefficients @ precision @ coefficients) / 2
    spread = 1 + design[n] @ np.linalg.solve(precision, design[n])
    return 2 * alpha, design[n] @ coefficients, math.sqrt(beta / alpha * spread)


def _poisson(settings: BocpdSettings, rate: float, past: Any, x: Any) -> float:
    total = 0.0
    for j in range(len(x)):
        a, b = settings.alpha + past[:, j].sum(), settings.alpha / rate + len(past)
        total += float(stats.nbinom.logpmf(x[j], a, b / (b + 1)))
    return total


def _wishart(settings: BocpdSettings, past: Any, x: Any) -> float:
    """Ratio of marginal likelihoods of the Normal-Inverse-Wishart."""

    def evidence(rows: Any) -> float:
        n, d = rows.shape
        k, v = settings.kappa + n, 2 * settings.alpha + d - 1 + n
        mean = rows.sum(axis=0) / k
        scatter = 2 * settings.beta * np.eye(d) + rows.T @ rows - k * np.outer(mean, mean)
        ways = sum(gammaln((v - i) / 2) for i in range(d))
        log_det = np.linalg.slogdet(scatter)[1]
        return float(ways - v / 2 * log_det - d / 2 * math.log(k) - n * d / 2 * math.log(math.pi))

    return evidence(np.vstack([past, x])) - evidence(past)


@pytest.fixture(scope="session")
def exact_run_lengths() -> Callable[[BocpdSettings, Any], tuple[Any, Any, Any]]:
    def of(settings: BocpdSettings, values: Any) -> tuple[Any, Any, Any]:
        return run_lengths(values, densities_of(settings), settings.expected_run, settings.weight)

    return of
