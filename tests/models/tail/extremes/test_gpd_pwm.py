"""Probability-weighted moments against scipy's L-moments, and their errors against repetition."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from models.errors import TrainingDataError
from models.tail.extremes.excesses import Excesses
from models.tail.extremes.gpd_pwm import fit_gpd_pwm

Sampler = Callable[..., Excesses]


@pytest.mark.parametrize("shape", [-0.3, 0.1, 0.6])
def test_the_law_has_the_samples_first_two_l_moments(shape: float, pareto: Sampler) -> None:
    sample = pareto(shape, 200, seed=1)
    fit = fit_gpd_pwm(sample)
    assert fit.scale / (1 - fit.shape) == pytest.approx(stats.lmoment(sample.excess, order=1))
    spread = fit.scale / ((1 - fit.shape) * (2 - fit.shape))
    assert spread == pytest.approx(stats.lmoment(sample.excess, order=2))


def test_the_stated_errors_are_those_of_repeated_samples(pareto: Sampler) -> None:
    fits = [fit_gpd_pwm(pareto(0.1, 500, seed=seed)) for seed in range(600)]
    scatter = np.cov([[fit.scale for fit in fits], [fit.shape for fit in fits]])
    stated = np.mean([fit.covariance for fit in fits], axis=0)
    assert stated == pytest.approx(scatter, rel=0.2)


def test_errors_are_not_stated_where_they_are_infinite(pareto: Sampler) -> None:
    fit = fit_gpd_pwm(pareto(0.9, 400, seed=1))
    assert not fit.regular
    assert np.isnan(fit.covariance).all()


def test_excesses_that_are_all_one_are_refused() -> None:
    with pytest.raises(TrainingDataError, match="alike"):
        fit_gpd_pwm(Excesses(0.0, np.ones(40), 800, 40))
