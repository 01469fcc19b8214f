"""Profile intervals against another way to them: profiling one parameter at a time."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from models.errors import TrainingDataError
from models.tail.extremes.excesses import Excesses, from_peaks
from models.tail.extremes.gpd import GpdFit
from models.tail.extremes.gpd_fit import fit_gpds
from models.tail.extremes.profile_intervals import Estimate, intervals
from models.tail.extremes.quantity import (
    SCALE,
    SHAPE,
    Quantity,
    conditional_value_at_risk,
    exceedance,
    return_level,
    value_at_risk,
)
from tests.models.tail.extremes.one_sample import fit_gpd, upper_end

Sampler = Callable[..., Excesses]
ALL = [
    SHAPE,
    SCALE,
    value_at_risk(0.99),
    conditional_value_at_risk(0.99),
    return_level(5_000),
    exceedance(22.0),
]


def one(fit: GpdFit, quantity: Quantity, confidence: float = 0.95, *, known: bool = True) -> Any:
    return intervals([fit], [[quantity]], [confidence], rate_known=known)[0][0]


def profiled(fit: GpdFit, scale_of: Callable[[float, float], float], near: float) -> Any:
    """Give the deviance of a quantity: the least over the shape, which fixes the scale."""
    excess = fit.sample.excess

    def deviance(value: float) -> float:
        def loss(shape: float) -> float:
            scale = scale_of(value, shape)
            if not scale > 0 or 1 + shape * excess[-1] / scale <= 0:
                return 1e6
            density = stats.genpareto.logpdf(excess, shape, scale=scale)
            return 2 * (fit.log_likelihood - float(density.sum()))

        found = [
            optimize.minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-9})
            for bounds in ((near - 0.8, near + 0.4), (near - 0.3, near + 1.2))
        ]
        least: float = min(result.fun for result in found)
        return least - float(stats.chi2.ppf(0.95, 1))

    return deviance


@pytest.mark.parametrize(("shape", "size"), [(-0.2, 150), (0.0, 60), (0.2, 152), (0.4, 400)])
def test_levels_have_the_ends_that_profiling_finds(
    shape: float, size: int, pareto: Sampler
) -> None:
    fit = fit_gpd(pareto(shape, size, seed=size))
    odds = math.log(5_000 / 20)

    def scale_of(level: float, x: float) -> float:
        grown = math.expm1(x * odds) / x if abs(x) > 1e-9 else odds
        return (level - fit.sample.threshold) / grown

    found = one(fit, return_level(5_000))
    deviance = profiled(fit, scale_of, fit.shape)
    half = (found.upper - found.lower) / 2
    lower = optimize.brentq(deviance, found.value - 3 * half, found.value)
    upper = optimize.brentq(deviance, found.value, found.value + 3 * half)
    assert (found.lower, found.upper) == pytest.approx((lower, upper), abs=1e-3 * half)


@pytest.mark.parametrize(("shape", "size"), [(-0.2, 150), (0.2, 152), (0.4, 400)])
def test_the_shape_has_the_ends_that_profiling_finds(
    shape: float, size: int, pareto: Sampler
) -> None:
    fit = fit_gpd(pareto(shape, size, seed=size))
    excess = fit.sample.excess

    def deviance(x: float) -> float:
        def loss(log_scale: float) -> float:
            density = stats.genpareto.logpdf(excess, x, scale=math.exp(log_scale))
            return 2 * (fit.log_likelihood - max(float(density.sum()), -1e6))

        middle = math.log(fit.scale)
        found = optimize.minimize_scalar(
            loss, bounds=(middle - 1, middle + 1), method="bounded", options={"xatol": 1e-10}
        )
        return float(found.fun - stats.chi2.ppf(0.95, 1))

    found = one(fit, SHAPE)
    lower = optimize.brentq(deviance, fit.shape - 0.8, fit.shape)
    upper = optimize.brentq(deviance, fit.shape, fit.shape + 0.8)
    assert (found.lower, found.upper) == pytest.approx((lower, upper), abs=1e-3 * (upper - lower))


def test_the_rate_matters_as_much_as_it_should(pareto: Sampler) -> None:
    """At the threshold itself a level's probability is the rate, and its interval binomial."""
    fit = fit_gpd(pareto(0.1, 100, seed=4))
    found = one(fit, exceedance(fit.sample.threshold), known=False)

    def deviance(rate: float) -> float:
        k, n = 100, 2_000
        best = stats.binom.logpmf(k, n, k / n)
        return float(2 * (best - stats.binom.logpmf(k, n, rate)) - stats.chi2.ppf(0.95, 1))

    assert found.value == pytest.approx(0.05)
    assert found.lower == pytest.approx(optimize.brentq(deviance, 1e-3, 0.05), rel=1e-5)
    assert found.upper == pytest.approx(optimize.brentq(deviance, 0.05, 0.2), rel=1e-5)


def test_an_unknown_rate_widens_what_depends_on_it_and_nothing_else(pareto: Sampler) -> None:
    fit = fit_gpd(pareto(0.1, 100, seed=4))
    for quantity in ALL:
        known, unknown = (one(fit, quantity, known=flag) for flag in (True, False))
        if quantity in (SHAPE, SCALE):
            assert known == unknown
        else:
            assert unknown.lower < known.lower < known.value < known.upper < unknown.upper


@given(
    shape=st.floats(-0.3, 0.8),
    size=st.integers(20, 300),
    seed=st.integers(0, 10_000),
    confidence=st.floats(0.5, 0.98),
)
@settings(max_examples=60)
def test_intervals_hold_their_estimate_and_grow_with_confidence(
    shape: float, size: int, seed: int, confidence: float
) -> None:
    excess = stats.genpareto.rvs(shape, size=size, random_state=seed)
    fit = fit_gpd(from_peaks(excess, 0.0, 20 * size))
    asked = [*ALL[:-1], exceedance(2.0)]
    narrow, wide = intervals([fit, fit], [asked, asked], [confidence, confidence + 0.015])
    for inner, outer in zip(narrow, wide, strict=True):
        slack = 1e-3 * (outer.upper - outer.lower) if math.isfinite(outer.upper) else math.inf
        assert inner.lower <= inner.value <= inner.upper
        assert outer.lower <= inner.lower + slack
        assert inner.upper <= outer.upper + slack


@given(sizes=st.lists(st.integers(20, 200), min_size=2, max_size=8), seed=st.integers(0, 1_000))
@settings(max_examples=30)
def test_a_row_gets_the_same_bits_alone_and_in_a_batch(sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    fits = fit_gpds([from_peaks(rng.pareto(3, size), 0.0, 20 * size) for size in sizes])
    asked = [ALL[: 1 + place % len(ALL)] for place in range(len(fits))]
    confidence = rng.uniform(0.5, 0.99, len(fits)).tolist()
    together = intervals(fits, asked, confidence)
    for fit, quantities, level, found in zip(fits, asked, confidence, together, strict=True):
        assert intervals([fit], [quantities], [level])[0] == found


@pytest.mark.parametrize(("shape", "size", "least"), [(-0.1, 60, 0.9), (0.2, 250, 0.92)])
def test_they_cover_about_as_often_as_they_say(
    shape: float, size: int, least: float, pareto: Sampler
) -> None:
    fits = fit_gpds([pareto(shape, size, seed=seed, scale=1.0) for seed in range(300)])
    truth = 10 + stats.genpareto.isf(20 / 2_000, shape)
    found = intervals(fits, [[value_at_risk(0.9995)]] * len(fits), [0.95] * len(fits))
    assert least <= np.mean([row[0].lower <= truth <= row[0].upper for row in found]) <= 0.985


def test_a_mean_that_may_be_infinite_has_an_infinite_end(pareto: Sampler) -> None:
    fit = fit_gpd(pareto(0.8, 60, seed=1))
    found = one(fit, conditional_value_at_risk(0.99))
    assert found.lower < found.value
    assert found.upper == math.inf


def test_a_level_beyond_the_laws_end_has_probability_nought(pareto: Sampler) -> None:
    fit = fit_gpd(pareto(-0.4, 300, seed=1))
    assert one(fit, exceedance(upper_end(fit) + 5.0)).lower == 0.0
    assert one(fit, exceedance(upper_end(fit) + 5.0)).value == 0.0


def test_a_level_below_the_threshold_is_not_answered(pareto: Sampler) -> None:
    fit = fit_gpd(pareto(0.1, 100, seed=1))
    found: list[Estimate] = [one(fit, value_at_risk(0.9)), one(fit, exceedance(9.0))]
    assert all(math.isnan(value) for estimate in found for value in estimate)


def test_clusters_are_told_apart_from_the_values_in_them(pareto: Sampler) -> None:
    """Thinned to one peak in four, a level of values stays; that of peaks comes down."""
    sample = pareto(0.1, 100, seed=1)
    thinned = Excesses(sample.threshold, sample.excess, sample.observed * 4, sample.exceeded * 4)
    plain, clustered = fit_gpd(sample), fit_gpd(thinned)
    same = one(plain, value_at_risk(0.999)).value
    assert one(clustered, value_at_risk(0.999)).value == pytest.approx(same)
    assert one(clustered, return_level(8_000)).value == pytest.approx(
        one(plain, return_level(2_000)).value
    )


@pytest.mark.parametrize(
    "ask",
    [
        lambda: value_at_risk(1.0),
        lambda: conditional_value_at_risk(0.0),
        lambda: return_level(1.0),
        lambda: return_level(math.inf),
        lambda: exceedance(math.nan),
    ],
)
def test_what_has_no_answer_cannot_be_asked(ask: Callable[[], Quantity]) -> None:
    with pytest.raises(TrainingDataError):
        ask()
