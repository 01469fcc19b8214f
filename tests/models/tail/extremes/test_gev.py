"""Block maxima: the fit and its intervals against scipy's laws, moments and optimisers."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import optimize, special, stats

from models.errors import TrainingDataError
from models.tail.extremes.gev import block_maxima
from models.tail.extremes.gev_fit import fit_gev
from models.tail.extremes.gev_intervals import (
    GevQuantity,
    block_return_level,
    gev_interval,
    location,
    scale,
    shape,
)
from models.tail.extremes.gev_pwm import pwm_parameters


def maxima(x: float, size: int, seed: int = 0) -> Any:
    return stats.genextreme.rvs(-x, loc=100, scale=7, size=size, random_state=seed)


@pytest.mark.parametrize("size", [20, 65, 1_000])
@pytest.mark.parametrize("x", [-0.3, 0.0, 0.3])
def test_it_finds_what_another_optimiser_finds(x: float, size: int) -> None:
    seen = maxima(x, size)
    fit = fit_gev(seen)

    def loss(at: Any) -> float:
        density = stats.genextreme.logpdf(seen, -at[2], loc=at[0], scale=math.exp(at[1]))
        return min(-float(density.sum()), 1e9)

    start = [float(np.mean(seen)) - 3, math.log(np.std(seen) * 0.8), 0.05]
    options = {"xatol": 1e-9, "fatol": 1e-11, "maxiter": 4_000, "maxfev": 4_000}
    other = optimize.minimize(loss, start, method="Nelder-Mead", options=options)
    assert fit.log_likelihood == pytest.approx(-other.fun, abs=1e-7)
    assert fit.location == pytest.approx(other.x[0], abs=1e-3)
    assert fit.scale == pytest.approx(math.exp(other.x[1]), rel=1e-4)
    assert fit.shape == pytest.approx(other.x[2], abs=1e-4)


@pytest.mark.parametrize("x", [-0.2, 1e-7, 0.25])
def test_the_covariance_is_the_inverse_of_the_curvature(x: float) -> None:
    fit = fit_gev(maxima(x, 500))
    best = np.array([fit.location, fit.scale, fit.shape])
    steps = np.diag([1e-3, 1e-3, 1e-4])

    def value(at: Any) -> float:
        law = stats.genextreme(-at[2], loc=at[0], scale=at[1])
        return float(law.logpdf(fit.maxima).sum())

    information = np.array(
        [
            [
                -(value(best + a + b) - value(best + a - b) - value(best - a + b))
                - value(best - a - b)
                for b in steps
            ]
            for a in steps
        ]
    )
    unit = 2 * steps.sum(axis=0)
    information /= unit * unit[:, None]
    assert fit.covariance @ information == pytest.approx(np.eye(3), abs=2e-3)


def nuisance_profile(seen: Any, law: Callable[[Any], tuple[float, float, float]]) -> float:
    """Maximise over two free parameters; `law` turns them into location, scale and shape."""

    def loss(at: Any) -> float:
        mu, sigma, x = law(at)
        if sigma <= 0:
            return 1e9
        density = stats.genextreme.logpdf(seen, -x, loc=mu, scale=sigma)
        return min(-float(density.sum()), 1e9)

    start = [float(np.std(seen)) * 0.8, 0.05]
    options = {"xatol": 1e-9, "fatol": 1e-11, "maxiter": 4_000, "maxfev": 4_000}
    return -float(optimize.minimize(loss, start, method="Nelder-Mead", options=options).fun)


@pytest.mark.parametrize("x", [-0.2, 0.15])
def test_a_return_level_has_the_ends_that_profiling_finds(x: float) -> None:
    seen = maxima(x, 65)
    fit, odds = fit_gev(seen), -math.log(-math.log1p(-1 / 100))
    found = gev_interval(fit, block_return_level(100), 0.95)

    def deviance(level: float) -> float:
        def law(at: Any) -> tuple[float, float, float]:
            return level - at[0] * math.expm1(at[1] * odds) / at[1], at[0], at[1]

        return 2 * (fit.log_likelihood - nuisance_profile(seen, law))

    allowance = stats.chi2.ppf(0.95, 1)
    assert deviance(found.lower) == pytest.approx(allowance, abs=1e-4)
    assert deviance(found.upper) == pytest.approx(allowance, abs=1e-4)
    assert found.value == pytest.approx(
        stats.genextreme.isf(0.01, -fit.shape, loc=fit.location, scale=fit.scale)
    )


@pytest.mark.parametrize("quantity", [location, scale, shape])
def test_parameters_have_intervals_of_the_size_of_their_errors(quantity: GevQuantity) -> None:
    fit = fit_gev(maxima(0.1, 20_000))
    found = gev_interval(fit, quantity, 0.95)
    error = fit.standard_errors[(location, scale, shape).index(quantity)]
    assert found.upper - found.value == pytest.approx(1.96 * error, rel=0.02)
    assert found.value - found.lower == pytest.approx(1.96 * error, rel=0.02)


def test_moments_fit_what_scipys_l_moments_say() -> None:
    seen = maxima(0.2, 300)
    location, scale, shape = pwm_parameters(np.sort(seen))
    first, second, third = (stats.lmoment(seen, order=k) for k in (1, 2, 3))
    k = -shape
    grown = special.gamma(1 + k)
    assert location + scale * (1 - grown) / k == pytest.approx(first)
    assert scale * (1 - 2**-k) * grown / k == pytest.approx(second)
    assert 2 * (1 - 3**-k) / (1 - 2**-k) - 3 == pytest.approx(third)  # over the second


def test_blocks_with_too_many_gaps_have_no_maximum() -> None:
    series = np.array([1.0, 5.0, 2.0, np.nan, np.nan, 3.0, 4.0, np.nan, 9.0, 8.0])
    assert block_maxima(series, 3).tolist()[:1] == [5.0]
    assert np.isnan(block_maxima(series, 3)[1])
    assert block_maxima(series, 3)[2] == 9.0


def test_what_cannot_be_fitted_is_refused_in_words() -> None:
    with pytest.raises(TrainingDataError, match="14 block maxima are too few"):
        fit_gev(np.arange(14.0))
    with pytest.raises(TrainingDataError, match="constant"):
        fit_gev(np.ones(50))
    with pytest.raises(TrainingDataError, match="blocks of 1"):
        block_maxima(np.arange(10.0), 1)
    with pytest.raises(TrainingDataError, match="return period"):
        block_return_level(1)
    with pytest.raises(TrainingDataError, match="no profile interval"):
        gev_interval(replace(fit_gev(maxima(0.1, 50)), regular=False), shape, 0.95)
