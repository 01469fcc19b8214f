"""The chance of being the best, against integration by scipy and against draws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from models.optimization.bandits.beliefs import BetaBeliefs, NormalBeliefs
from models.protocols import FloatArray

CERTAIN = np.array([1e12])  # a noise of known variance 1


def normal(mean: list[float], deviation: list[float]) -> NormalBeliefs:
    return NormalBeliefs(np.array([mean]), np.array([deviation]), CERTAIN, CERTAIN)


def by_scipy(mean: FloatArray, deviation: FloatArray, arm: int) -> float:
    others = np.delete(np.arange(len(mean)), arm)

    def inside(z: float) -> float:
        at = mean[arm] + deviation[arm] * z
        return float(stats.norm.pdf(z) * stats.norm.cdf(at, mean[others], deviation[others]).prod())

    edges = (mean[others] - mean[arm]) / deviation[arm]
    breaks = np.unique(np.clip(edges, -8.5, 8.5))
    found, _ = integrate.quad(inside, -9, 9, points=breaks, limit=400)
    return float(found)


@pytest.mark.parametrize("seed", range(30))
def test_normal_chances_are_the_integrals(seed: int) -> None:
    rng = np.random.default_rng(seed)
    arms = int(rng.integers(2, 7))
    mean, deviation = rng.normal(0.5, 0.1, arms), np.exp(rng.normal(-3, 1.5, arms))
    found = normal(mean.tolist(), deviation.tolist()).chance_of_best(
        np.ones((1, arms), np.bool_), np.array([[0.5]])
    )
    truth = np.array([by_scipy(mean, deviation, arm) for arm in range(arms)])
    np.testing.assert_allclose(found.probability[0], truth, atol=3e-4)
    assert np.abs(found.probability[0] - truth).max() <= found.error[0]


def test_two_normal_arms_have_a_closed_form() -> None:
    found = normal([0.5, 0.6], [0.1, 0.05]).chance_of_best(
        np.ones((1, 2), np.bool_), np.array([[0.5]])
    )
    truth = stats.norm.cdf(0.1 / np.hypot(0.1, 0.05))
    assert found.probability[0, 1] == pytest.approx(truth, abs=1e-5)


def test_beta_chances_are_those_of_draws() -> None:
    alpha, beta = np.array([[1.0, 30.0, 300.0, 8.0]]), np.array([[1.0, 60.0, 640.0, 20.0]])
    beliefs = BetaBeliefs(alpha / (alpha + beta), alpha, beta)
    found = beliefs.chance_of_best(np.ones((1, 4), np.bool_), np.zeros((1, 1)))
    best = np.random.default_rng(3).beta(alpha, beta, (400_000, 4)).argmax(axis=1)
    drawn = np.bincount(best, minlength=4) / len(best)
    np.testing.assert_allclose(found.probability[0], drawn, atol=0.004)  # 5 deviations of .5


def test_thompson_with_the_noise_unknown_is_students_t() -> None:
    """Averaged over the draws of the noise, against direct draws from the posterior."""
    shape, rate = np.array([3.0]), np.array([0.5])
    mean, spread = np.array([[0.5, 0.55, 0.4]]), np.array([[0.1, 0.3, 0.5]])
    rows, rng = 20_000, np.random.default_rng(5)
    beliefs = NormalBeliefs(
        np.repeat(mean, rows, axis=0), np.repeat(spread, rows, axis=0), shape, rate
    )
    given_noise = beliefs.chance_of_best(np.ones((rows, 3), np.bool_), rng.random((rows, 1)))
    noise = np.sqrt(0.5 / rng.gamma(3.0, size=(400_000, 1)))
    best = (mean + noise * spread * rng.normal(size=(400_000, 3))).argmax(axis=1)
    drawn = np.bincount(best, minlength=3) / len(best)
    np.testing.assert_allclose(given_noise.probability.mean(axis=0), drawn, atol=0.004)


@given(
    st.lists(st.tuples(st.floats(-1, 2), st.floats(1e-6, 10)), min_size=1, max_size=6),
    st.integers(0, 5),
)
def test_chances_are_chances_and_an_arm_that_is_out_has_none(
    arms: list[tuple[float, float]], out: int
) -> None:
    mean, deviation = zip(*arms, strict=True)
    eligible = np.ones((1, len(arms)), np.bool_)
    if len(arms) > 1:
        eligible[0, out % len(arms)] = False
    found = normal(list(mean), list(deviation)).chance_of_best(eligible, np.array([[0.5]]))
    assert (found.probability >= 0).all()
    assert found.probability.sum() == pytest.approx(1, abs=1e-12)
    assert (found.probability[~eligible] == 0).all()
