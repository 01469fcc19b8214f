"""Estimators against their formulas, against the truth, and against logs that say nothing."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from models.errors import InvalidColumnError
from models.optimization.evaluation.evaluate import evaluate
from models.optimization.evaluation.logged import LoggedDecisions
from models.optimization.evaluation.overlap import overlap_of
from models.optimization.evaluation.reward_model import (
    Predictor,
    cross_fitted,
    even_folds,
    looking_back,
    ridge,
)
from models.optimization.evaluation.scores import PolicyScores
from models.protocols import FloatArray

World = Callable[..., tuple[LoggedDecisions, FloatArray]]
NAMES = ("ipw", "snipw", "dm", "dr")


def greedy(means: FloatArray) -> FloatArray:
    return np.asarray(np.eye(3)[means.argmax(axis=1)])


def test_values_are_the_formulas(world: World) -> None:
    """Written out row by row, with a model that is told to predict .3."""
    log, means = world(600, 1)
    target = 0.7 * greedy(means) + 0.1
    told = evaluate(log, target, fit=lambda _: lambda x: np.full((len(x), 3), 0.3)).estimates
    weights = [
        target[i, arm] / log.probabilities[i, arm] for i, arm in enumerate(log.arms.tolist())
    ]
    pairs = list(zip(weights, log.rewards.tolist(), strict=True))
    assert told["ipw"].value == pytest.approx(sum(w * r for w, r in pairs) / 600)
    assert told["snipw"].value == pytest.approx(sum(w * r for w, r in pairs) / sum(weights))
    assert told["dm"].value == pytest.approx(0.3)
    assert told["dr"].value == pytest.approx(0.3 + sum(w * (r - 0.3) for w, r in pairs) / 600)


def test_estimates_are_unbiased_and_doubly_robust_is_the_sharper(world: World) -> None:
    errors = []
    for seed in range(60):
        log, means = world(1_000, seed)
        target = greedy(means)
        truth = (target * means).sum(axis=1).mean()
        found = evaluate(log, target).estimates
        errors.append([found[name].value - truth for name in ("ipw", "dr")])
    ipw, dr = np.array(errors).T
    assert abs(ipw.mean()) < 3.5 * ipw.std() / np.sqrt(60)
    assert abs(dr.mean()) < 3.5 * dr.std() / np.sqrt(60)
    assert dr.std() < 0.9 * ipw.std()


def test_intervals_hold_whatever_the_model_says(world: World) -> None:
    """A model that is quite wrong widens the interval and never voids it."""

    def wrong(_log: LoggedDecisions) -> Predictor:
        return lambda contexts: np.tile([1.0, 0.0, 1.0], (len(contexts), 1))

    missed = dict.fromkeys(("ipw", "snipw", "dr"), 0)
    for seed in range(150):
        log, means = world(300, seed, rare=0.1)
        target = greedy(means)
        truth = (target * means).sum(axis=1).mean()
        found = evaluate(log, target, fit=wrong)
        for name in missed if found.refusal is None else ():
            each = found.estimates[name]
            missed[name] += not each.lower <= truth <= each.upper
    assert max(missed.values()) <= 7


@pytest.mark.parametrize("cut", [0.0, 0.5, 2.0, 1e9])
def test_scores_have_the_value_as_their_mean_and_keep_their_depth(world: World, cut: float) -> None:
    """Exactly: averaged over the arm and the reward that might have been."""
    log, means = world(50, 2, rare=0.05)
    target, other = greedy(means), np.full((50, 3), 1 / 3)
    predicted = np.random.default_rng(3).random((50, 3))
    kinds = {
        "value": ((target * means).sum(axis=1), 0.0),
        "shortfall": (1 - (target * means).sum(axis=1), 0.0),
        "gain": (((target - other) * means).sum(axis=1), 1.0),
    }
    for kind, (truth, depth) in kinds.items():
        mean = np.zeros(50)
        for arm in range(3):
            for reward in (0.0, 1.0):
                arms, rewards = np.full(50, arm), np.full(50, reward)
                might = LoggedDecisions(log.contexts, arms, rewards, log.probabilities)
                args = (might, target, other, predicted) if kind == "gain" else (
                    might, target, predicted,
                )  # fmt: skip
                scores = getattr(PolicyScores, kind)(*args).at(cut)
                if cut < 1e9:
                    assert scores.min() >= -(cut + depth) - 1e-9
                chance = means[:, arm] if reward else 1 - means[:, arm]
                mean += log.probabilities[:, arm] * chance * scores
        np.testing.assert_allclose(mean, truth, atol=1e-9)


def test_no_row_is_predicted_by_a_model_that_saw_it(world: World) -> None:
    log, _ = world(500, 4)
    seen: list[set[float]] = []

    def fit(part: LoggedDecisions) -> Predictor:
        seen.append(set(part.contexts[:, 1].tolist()))
        mine = seen[-1]

        def predict(contexts: FloatArray) -> FloatArray:
            assert not mine & set(contexts[:, 1].tolist())
            return np.zeros((len(contexts), 3))

        return predict

    cross_fitted(log, fit, even_folds(500, 3))
    assert len(seen) == 3
    looking_back(log, fit, np.full(500, 0.5))
    at = {value: row for row, value in enumerate(log.contexts[:, 1].tolist())}
    assert [max(at[value] for value in part) for part in seen[3:]] == [63, 127, 255]


def test_ridge_learns_a_linear_world(world: World) -> None:
    log, means = world(20_000, 5)
    assert np.abs(ridge(log)(log.contexts) - means).max() < 0.06


def test_overlap_is_measured(world: World) -> None:
    log, _ = world(400, 6)
    same = overlap_of(log, log.probabilities)
    assert same.effective == pytest.approx(400)
    assert same.largest_weight == pytest.approx(1)
    assert same.mean_weight == pytest.approx(1)
    assert same.refusal is None


def test_thin_overlap_is_refused_with_the_figures(world: World) -> None:
    log, _ = world(200, 7, rare=0.05)
    found = evaluate(log, np.tile([0.0, 0.0, 1.0], (200, 1)))
    assert found.estimates == {}
    assert found.refusal is not None
    assert "count as" in found.refusal
    assert "and 50 are needed" in found.refusal


def test_one_heavy_decision_is_refused() -> None:
    rows = 2_000
    chances = np.tile([0.5, 0.5], (rows, 1))
    chances[0] = [1 - 0.5 / 400, 0.5 / 400]
    arms = np.arange(rows) % 2
    arms[0] = 1
    log = LoggedDecisions(np.ones((rows, 1)), arms, np.ones(rows), chances)
    found = evaluate(log, np.tile([0.9, 0.1], (rows, 1)))
    assert found.overlap.largest_share == pytest.approx(80 / found.overlap.mean_weight / rows)
    assert found.refusal is None or "one decision has" in found.refusal
    heavier = overlap_of(log, np.tile([0.0, 1.0], (rows, 1)))
    assert heavier.refusal is not None


def test_an_arm_that_never_had_a_chance_is_refused(world: World) -> None:
    log, _ = world(300, 8, rare=0.0)
    found = evaluate(log, np.tile([0.5, 0.5, 0.0], (300, 1)))
    assert found.overlap.usable == 0
    assert "none of the 300 decisions" in str(found.refusal)


@pytest.mark.parametrize("name", NAMES)
def test_an_interval_is_one(world: World, name: str) -> None:
    log, means = world(2_000, 9)
    each = evaluate(log, greedy(means)).estimates[name]
    assert 0 <= each.lower < each.value < each.upper <= 1


def test_the_direct_methods_interval_holds_though_its_model_is_wrong(world: World) -> None:
    log, means = world(2_000, 10)
    target = greedy(means)
    truth = (target * means).sum(axis=1).mean()
    each = evaluate(log, target, fit=lambda _: lambda x: np.full((len(x), 3), 0.99)).estimates["dm"]
    assert each.value == pytest.approx(0.99)
    assert each.lower <= truth < each.value <= each.upper


def test_what_is_no_log_is_refused() -> None:
    good = (np.ones((2, 1)), np.array([0, 1]), np.array([0.0, 1.0]), np.full((2, 2), 0.5))
    for index, bad, reason in (
        (1, np.array([0, 2]), "arms"),
        (2, np.array([0.0, 1.5]), "rewards"),
        (2, np.array([0.0, np.nan]), "rewards"),
        (3, np.full((2, 2), 0.4), "sum to 1"),
        (3, np.array([[0.0, 1.0], [0.5, 0.5]]), "0 for an arm that was chosen"),
        (0, np.ones((3, 1)), "rows"),
    ):
        parts: list[Any] = [bad if at == index else part for at, part in enumerate(good)]
        with pytest.raises(InvalidColumnError, match=reason):
            LoggedDecisions(*parts)
    with pytest.raises(InvalidColumnError, match="target"):
        evaluate(LoggedDecisions(*good), np.full((2, 3), 1 / 3))
