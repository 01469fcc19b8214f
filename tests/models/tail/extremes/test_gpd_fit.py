"""Maximum likelihood against another optimiser, a numerical curvature, and itself in a batch."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from models.errors import TrainingDataError
from models.tail.extremes.excesses import (
    Excesses,
    excesses_over,
    from_peaks,
    observed_values,
)
from models.tail.extremes.gpd import excess_quantile, log_likelihood, log_survival, mean_beyond
from models.tail.extremes.gpd_fit import fit_gpds
from tests.models.tail.extremes.one_sample import excesses_above_quantile, fit_gpd, upper_end

Sampler = Callable[..., Excesses]


def elsewhere(excess: Any) -> Any:
    """Maximise scipy's density by a simplex."""

    def loss(at: Any) -> float:
        scale, shape = math.exp(at[0]), at[1]
        if shape < -1:
            return 1e9
        return min(-float(stats.genpareto.logpdf(excess, shape, scale=scale).sum()), 1e9)

    starts = [(math.log(excess.mean()), shape) for shape in (-0.2, 0.1, 0.5)]
    found = [
        optimize.minimize(
            loss, start, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-11}
        )
        for start in starts
    ]
    return min(found, key=lambda result: result.fun)


@pytest.mark.parametrize("size", [20, 37, 152, 1_000])
@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.2, 1.0])
def test_it_finds_what_another_optimiser_finds(shape: float, size: int, pareto: Sampler) -> None:
    sample = pareto(shape, size, seed=size)
    fit, other = fit_gpd(sample), elsewhere(sample.excess)
    assert fit.log_likelihood == pytest.approx(-other.fun, abs=1e-7)
    assert fit.scale == pytest.approx(math.exp(other.x[0]), rel=1e-4)
    assert fit.shape == pytest.approx(other.x[1], abs=1e-4)
    again = log_likelihood(sample.excess, fit.scale, fit.shape)
    assert fit.log_likelihood == pytest.approx(again, abs=1e-8)


@pytest.mark.parametrize("shape", [-0.25, 0.0, 0.4])
def test_the_covariance_is_the_inverse_of_the_curvature(shape: float, pareto: Sampler) -> None:
    sample = pareto(shape, 400, seed=7)
    fit = fit_gpd(sample)
    step = np.array([1e-4 * fit.scale, 1e-4])

    def value(i: int, j: int) -> float:
        return log_likelihood(sample.excess, fit.scale + i * step[0], fit.shape + j * step[1])

    ss = (value(1, 0) - 2 * value(0, 0) + value(-1, 0)) / step[0] ** 2
    xx = (value(0, 1) - 2 * value(0, 0) + value(0, -1)) / step[1] ** 2
    sx = (value(1, 1) - value(1, -1) - value(-1, 1) + value(-1, -1)) / (4 * step[0] * step[1])
    information = -np.array([[ss, sx], [sx, xx]])
    assert fit.covariance @ information == pytest.approx(np.eye(2), abs=1e-4)
    assert fit.standard_errors == pytest.approx(np.sqrt(np.diag(fit.covariance)).tolist())


def test_a_million_values_are_fitted_and_come_out_true() -> None:
    values = stats.genpareto.rvs(0.2, size=1_000_000, random_state=3)
    fit = fit_gpd(excesses_above_quantile(values, 0.95))
    assert fit.sample.excess.size == 50_000
    assert fit.shape == pytest.approx(0.2, abs=4 * fit.standard_errors[1])


@given(factor=st.floats(1e-9, 1e9), size=st.integers(20, 300), seed=st.integers(0, 1_000))
def test_a_change_of_units_changes_only_the_scale(factor: float, size: int, seed: int) -> None:
    excess = stats.genpareto.rvs(0.1, size=size, random_state=seed)
    plain = fit_gpd(from_peaks(excess, 0.0, size))
    fit = fit_gpd(from_peaks(excess * factor, 0.0, size))
    assert fit.shape == pytest.approx(plain.shape, abs=1e-6)
    assert fit.scale == pytest.approx(plain.scale * factor, rel=1e-6)


@given(sizes=st.lists(st.integers(20, 400), min_size=2, max_size=12), seed=st.integers(0, 1_000))
def test_a_sample_is_fitted_to_the_same_bits_alone_and_in_a_batch(
    sizes: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    samples = [
        from_peaks(rng.pareto(rng.uniform(0.5, 9), size) * rng.lognormal(0, 5), 0.0, 20 * size)
        for size in sizes
    ]
    for sample, together in zip(samples, fit_gpds(samples), strict=True):
        alone = fit_gpd(sample)
        assert (alone.scale, alone.shape) == (together.scale, together.shape)
        assert alone.log_likelihood == together.log_likelihood
        assert alone.covariance.tobytes() == together.covariance.tobytes()


def test_the_order_of_the_values_does_not_matter() -> None:
    values = np.random.default_rng(1).standard_t(3, 2_000)
    fit, turned = (fit_gpd(excesses_over(v, 2.0)) for v in (values, values[::-1]))
    assert (fit.scale, fit.shape) == (turned.scale, turned.shape)


def test_excesses_that_look_uniform_are_fitted_to_the_end_and_said_to_be_irregular() -> None:
    fit = fit_gpd(from_peaks(np.linspace(0.001, 1, 400), 0.0, 8_000))
    assert fit.shape == pytest.approx(-1, abs=0.05)
    assert upper_end(fit) == pytest.approx(1, abs=0.02)
    assert not fit.regular
    assert np.isnan(fit.covariance).all()


def test_gaps_count_neither_as_values_nor_as_exceedances() -> None:
    values = np.random.default_rng(2).exponential(size=1_000)
    gappy = np.insert(values, [5, 500, 999], np.nan)
    one, other = (excesses_over(observed_values(each), 1.0) for each in (values, gappy))
    assert one.observed == other.observed == 1_000
    assert one.excess.tobytes() == other.excess.tobytes()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([], "no value"),
        ([math.nan] * 50, "no value"),
        ([3.0], "constant"),
        ([2.5] * 5_000, "constant"),
        ([1.0, math.inf] * 50, "infinite"),
        ([[1.0, 2.0]] * 50, "dimension"),
        (np.arange(100.0), "5 of 100 values exceed 94.05, and at least 20 must"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_words(values: Any, said: str) -> None:
    with pytest.raises(TrainingDataError, match=said):
        excesses_above_quantile(values, 0.95)


@pytest.mark.parametrize("shape", [-0.4, -1e-12, 0.0, 1e-9, 0.3, 0.9])
def test_the_law_agrees_with_scipys(shape: float) -> None:
    law = stats.genpareto(shape, scale=3.0)
    scale, x = np.array(3.0), np.array(shape)
    at = np.array([0.1, 1.0, 5.0])
    survival = np.exp(log_survival(at, scale, x))
    assert survival == pytest.approx(law.sf(at), rel=1e-9)
    odds = np.array([0.5, 2.0, 7.0])
    assert excess_quantile(odds, scale, x) == pytest.approx(law.isf(np.exp(-odds)), rel=1e-6)


@pytest.mark.parametrize("shape", [-0.4, 0.2, 0.6])
def test_the_mean_beyond_a_level_agrees_with_scipys(shape: float) -> None:
    law = stats.genpareto(shape, scale=3.0)
    mean = law.expect(lambda y: y, lb=float(law.isf(math.exp(-2.0))), conditional=True)
    beyond = mean_beyond(np.array(2.0), np.array(3.0), np.array(shape))
    assert beyond == pytest.approx(mean, rel=1e-5)


def test_beyond_the_end_nothing_survives_and_from_shape_1_on_no_mean_is_finite() -> None:
    assert log_survival(np.array(4.0), np.array(1.0), np.array(-0.5)) == -np.inf
    assert mean_beyond(np.array(1.0), np.array(1.0), np.array(1.0)) == np.inf
