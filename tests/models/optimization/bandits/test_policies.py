"""How far each policy looks beyond the means, and that it is tried again all the same."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from models.optimization.bandits.beliefs import BetaBeliefs, NormalBeliefs
from models.optimization.bandits.decide import decide
from models.optimization.bandits.design import WIDTH_WITH_FEATURES, Design, Feature
from models.optimization.bandits.experiment import Experiment, fresh_posterior
from models.optimization.bandits.keyed import keys_of
from models.optimization.bandits.policies import draw_arms, thompson
from models.optimization.bandits.restraint import with_floor
from models.optimization.bandits.snapshot import design_from

Start = Callable[..., Experiment]
Ask = Callable[[int, int], dict[str, np.ndarray]]
BOTH = np.ones((1, 2), np.bool_)


@pytest.mark.parametrize("width", [0.3, 1.0, 2.0])
def test_a_width_multiplies_the_deviations_that_thompson_draws_with(width: float) -> None:
    certain = np.array([1e12])  # a noise of known variance 1
    beliefs = NormalBeliefs(np.array([[0.5, 0.6]]), np.array([[0.1, 0.05]]), certain, certain)
    found = thompson(beliefs, BOTH, np.array([[0.5]]), width)
    truth = stats.norm.cdf(0.1 / (width * np.hypot(0.1, 0.05)))
    assert found.probability[0, 1] == pytest.approx(truth, abs=1e-4)


def test_a_narrowed_beta_keeps_its_mean() -> None:
    alpha, beta = np.array([[30.0, 8.0]]), np.array([[60.0, 20.0]])
    beliefs = BetaBeliefs(alpha / (alpha + beta), alpha, beta)
    narrow = beliefs.narrowed(0.5)
    np.testing.assert_allclose(narrow.alpha / (narrow.alpha + narrow.beta), beliefs.mean)
    deviations = stats.beta.std(narrow.alpha, narrow.beta) / stats.beta.std(alpha, beta)
    np.testing.assert_allclose(deviations, 0.5, rtol=0.02)
    own = thompson(beliefs, BOTH, np.zeros((1, 1)))
    assert own.probability.tobytes() == beliefs.chance_of_best(BOTH, np.zeros((1, 1)))[0].tobytes()


def test_contexts_spare_some_exploring_and_nothing_else_does() -> None:
    with_features = Design(features=(Feature("load"),))
    assert with_features.width_of("thompson") == WIDTH_WITH_FEATURES
    assert Design(family="gaussian").width_of("thompson") == 1.0
    assert Design(family="bernoulli").width_of("thompson") == 1.0
    assert design_from({"family": "gaussian", "thompson_width": 0.8}).width_of("thompson") == 0.8
    assert with_features.width_of("ucb") == with_features.width


@pytest.mark.parametrize("family", ["linear", "bernoulli"])
def test_a_narrower_thompson_explores_less_and_its_intervals_stay(
    start: Start, ask: Ask, family: str
) -> None:
    keys, columns = keys_of([str(i) for i in range(40)]), ask(40, 1)
    wide, narrow = (start(family, thompson_width=width, floor=0.0) for width in (1.0, 0.5))
    contexts, rewards = np.array([[1.0, 0.2, -0.4]]), np.array([1.0])
    for experiment in (wide, narrow):
        for _ in range(20):
            experiment.posterior.learn(np.array([0]), np.array([1]), contexts, rewards)
    before, after = (
        decide(each, columns, keys, policy="thompson", cap=1.0) for each in (wide, narrow)
    )
    assert after.probabilities[:, 1].mean() > before.probabilities[:, 1].mean()
    same = before.arms == after.arms
    assert before.lower[same].tobytes() == after.lower[same].tobytes()
    assert before.upper[same].tobytes() == after.upper[same].tobytes()


def test_with_the_floor_a_good_arm_with_a_bad_beginning_is_found_again() -> None:
    many, rng = 40, np.random.default_rng(12)
    design, each = Design(features=(Feature("load"),)), np.arange(many)
    posterior = fresh_posterior(design, arms=3, many=many)
    means, eligible = np.array([0.4, 0.7, 0.4]), np.ones((many, 3), np.bool_)
    right = np.zeros(many)
    for step in range(1_000):
        contexts = np.column_stack([np.ones(many), rng.uniform(-1, 1, many)])
        width, draws = design.width_of("thompson"), rng.random((many, 1))
        chosen = thompson(posterior.beliefs(contexts), eligible, draws, width)
        floored = with_floor(chosen.probability, eligible, design.floor)
        arms = draw_arms(floored, rng.random(many))
        rewards = (rng.random(many) < means[arms]).astype(np.float64)
        if step < 4:  # the second arm fails whatever it is worth
            arms, rewards = np.ones(many, np.int64), np.zeros(many)
        posterior.learn(each, arms, contexts, rewards)
        right += (arms == 1) & (step >= 800)
    assert (right > 100).all()
