"""The posterior against the formulas written out, and against a million additions."""

import numpy as np
import pytest
from scipy import stats

from models.optimization.bandits.bernoulli import BernoulliPosterior
from models.optimization.bandits.linear import LinearPosterior

ONLY = np.zeros(1, np.int64)


def taught(steps: int, discount: float, seed: int = 0) -> tuple[LinearPosterior, list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    contexts = np.hstack([np.ones((steps, 1)), rng.uniform(-1, 1, (steps, 3))])
    arms, rewards = rng.integers(0, 2, steps), rng.random(steps)
    posterior = LinearPosterior.fresh(2, 4, prior=2.0, discount=discount)
    for i in range(steps):
        posterior.learn(ONLY, arms[i : i + 1], contexts[i : i + 1], rewards[i : i + 1])
    return posterior, [contexts, arms, rewards]


@pytest.mark.parametrize("discount", [1.0, 0.97])
def test_beliefs_are_the_weighted_regressions(discount: float) -> None:
    posterior, (contexts, arms, rewards) = taught(200, discount)
    weights = discount ** np.arange(len(arms))[::-1]
    probe = np.random.default_rng(9).uniform(-1, 1, (20, 4))
    beliefs = posterior.beliefs(probe)
    residual = 0.5 + weights @ (rewards - 0.5) ** 2
    for arm in range(2):
        x, y, w = (each[arms == arm] for each in (contexts, rewards - 0.5, weights))
        covariance = np.linalg.inv(2 * np.eye(4) + (x * w[:, None]).T @ x)
        theta = covariance @ (x * w[:, None]).T @ y
        np.testing.assert_allclose(beliefs.mean[:, arm], 0.5 + probe @ theta, rtol=1e-10)
        spread = np.sqrt(np.einsum("ni,ij,nj->n", probe, covariance, probe))
        np.testing.assert_allclose(beliefs.spread[:, arm], spread, rtol=1e-10)
        residual -= theta @ np.linalg.inv(covariance) @ theta
    assert beliefs.rate[0] == pytest.approx(residual / 2)
    assert beliefs.shape[0] == pytest.approx(1 + weights.sum() / 2)


def test_intervals_are_students() -> None:
    posterior, _ = taught(30, 1.0)
    beliefs = posterior.beliefs(np.ones((1, 4)))
    lower, upper = beliefs.interval(0.9)
    t = stats.t(2 * beliefs.shape[0])
    scale = np.sqrt(beliefs.rate[0] / beliefs.shape[0]) * beliefs.spread
    np.testing.assert_allclose(upper, beliefs.mean + t.ppf(0.95) * scale)
    np.testing.assert_allclose(lower + upper, 2 * beliefs.mean)


@pytest.mark.parametrize("discount", [1.0, 0.999])
def test_many_updates_leave_it_symmetric_and_accurate(discount: float) -> None:
    posterior, (contexts, arms, rewards) = taught(20_000, discount, seed=4)
    assert (posterior.precision == posterior.precision.swapaxes(2, 3)).all()
    weights = discount ** np.arange(len(arms), dtype=np.longdouble)[::-1]
    for arm in range(2):
        x, y = contexts[arms == arm], rewards[arms == arm] - 0.5
        weighted = x.astype(np.longdouble) * weights[arms == arm][:, None]
        np.testing.assert_allclose(posterior.precision[0, arm], weighted.T @ x, atol=1e-9)
        np.testing.assert_allclose(posterior.moment[0, arm], weighted.T @ y, atol=1e-9)


def test_experiments_side_by_side_are_the_same_alone() -> None:
    rng = np.random.default_rng(6)
    contexts, rewards = rng.uniform(-1, 1, (50, 3, 2)), rng.random((50, 3))
    arms = rng.integers(0, 2, (50, 3))
    together = LinearPosterior.fresh(2, 2, prior=1.0, discount=0.9, many=3)
    alone = [LinearPosterior.fresh(2, 2, prior=1.0, discount=0.9) for _ in range(3)]
    for t in range(50):
        together.learn(np.arange(3), arms[t], contexts[t], rewards[t])
        for i, each in enumerate(alone):
            row = slice(i, i + 1)
            each.learn(ONLY, arms[t, row], contexts[t, row], rewards[t, row])
    beliefs = together.beliefs(contexts[0])
    for i, each in enumerate(alone):
        assert each.beliefs(contexts[0, i : i + 1]).mean.tobytes() == beliefs.mean[i].tobytes()


def test_a_new_arm_knows_the_noise_but_not_its_mean() -> None:
    posterior, _ = taught(100, 1.0)
    before = posterior.beliefs(np.ones((1, 4)))
    posterior.add_arm()
    after = posterior.beliefs(np.ones((1, 4)))
    assert after.mean[0].tolist() == [*before.mean[0].tolist(), 0.5]
    assert after.rate.tolist() == before.rate.tolist()


@pytest.mark.parametrize("family", ["linear", "bernoulli"])
def test_bounds_hold_at_all_times_in_a_thousand_runs(family: str) -> None:
    many, steps, rng = 1_000, 150, np.random.default_rng(8)
    means = rng.uniform(0.1, 0.9, (many, 2))
    each, wrong = np.arange(many), np.zeros(many, np.bool_)
    kinds = {"linear": LinearPosterior.fresh(2, 1, prior=1.0, discount=1.0, many=many)}
    posterior = kinds.get(family) or BernoulliPosterior.fresh(2, prior=1, discount=1, many=many)
    contexts = np.ones((many, 1))
    for _ in range(steps):
        lower, upper = posterior.bounds(contexts, 0.05)
        wrong |= ((means < lower) | (means > upper)).any(axis=1)
        arms = rng.integers(0, 2, many)
        rewards = (rng.random(many) < means[each, arms]).astype(np.float64)
        posterior.learn(each, arms, contexts, rewards)
    assert wrong.mean() <= 0.05
    assert (upper - lower).mean() < 0.8
