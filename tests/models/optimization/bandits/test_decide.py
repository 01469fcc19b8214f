"""Decisions: bits, propensities, restraint, and what is refused."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from models.errors import ArmError, DesignError, InvalidColumnError
from models.optimization.bandits.decide import Decisions, decide
from models.optimization.bandits.design import Budget, Design, Feature, PolicyName
from models.optimization.bandits.experiment import Experiment
from models.optimization.bandits.feedback import learn, record
from models.optimization.bandits.keyed import keys_of
from models.optimization.bandits.snapshot import encode

Start = Callable[..., Experiment]
Ask = Callable[[int, int], dict[str, np.ndarray]]
KINDS: list[tuple[str, PolicyName]] = [
    (family, policy)
    for family in ("linear", "gaussian", "bernoulli")
    for policy in ("ucb", "thompson")
]


def bits(decisions: Decisions, rows: slice = slice(None)) -> dict[str, bytes]:
    return {each.name: getattr(decisions, each.name)[rows].tobytes() for each in fields(decisions)}


def warmed(start: Start, ask: Ask, family: str, **settings: Any) -> Experiment:
    """Give an experiment some past, in which `new` is the best."""
    experiment, means = start(family, **settings), np.array([0.4, 0.7, 0.3])
    rng = np.random.default_rng(0)
    for step in range(40):
        ids = [f"{step}-{i}" for i in range(5)]
        decided = decide(experiment, ask(5, step), keys_of(ids), policy="thompson", cap=1.0)
        record(experiment, ids, decided, now=float(step))
        rewards = (rng.random(5) < means[decided.arms]).astype(np.float64)
        learn(experiment, ids, rewards, now=float(step))
    return experiment


@pytest.mark.parametrize(("family", "policy"), KINDS)
@pytest.mark.parametrize("rows", [1, 2, 3, 7, 8, 17, 64])
def test_a_row_gets_the_same_bits_alone_and_in_a_batch(
    start: Start, ask: Ask, family: str, policy: PolicyName, rows: int
) -> None:
    experiment = warmed(start, ask, family)
    columns, keys = ask(rows, 99), keys_of([f"q{i}" for i in range(rows)])
    vetoed = np.random.default_rng(rows).random((rows, 3)) < 0.3
    vetoed[:, 0] = False
    together = decide(experiment, columns, keys, policy=policy, vetoed=vetoed)
    for i in range(rows):
        one = slice(i, i + 1)
        alone = decide(
            experiment, {k: v[one] for k, v in columns.items()}, keys[one],
            policy=policy, vetoed=vetoed[one],
        )  # fmt: skip
        assert bits(alone) == bits(together, one)


@pytest.mark.parametrize("pricing", ["worst_case", "confidence"])
def test_with_a_budget_a_batch_is_its_rows_in_turn(start: Start, ask: Ask, pricing: str) -> None:
    budget = Budget(share=0.5, pricing=pricing)  # type: ignore[arg-type]  # a str to mypy
    apart, together = (warmed(start, ask, "linear", budget=budget) for _ in range(2))
    columns, ids = ask(30, 5), [f"q{i}" for i in range(30)]
    whole = decide(together, columns, keys_of(ids), policy="thompson", cap=1.0)
    record(together, ids, whole, now=99.0)
    for i in range(30):
        one = slice(i, i + 1)
        row = {k: v[one] for k, v in columns.items()}
        alone = decide(apart, row, keys_of(ids[one]), policy="thompson", cap=1.0)
        record(apart, ids[one], alone, now=99.0)
        assert bits(alone) == bits(whole, one)
    assert encode(apart) == encode(together)


@pytest.mark.parametrize(("family", "policy"), KINDS)
def test_deciding_leaves_no_trace(start: Start, ask: Ask, family: str, policy: PolicyName) -> None:
    experiment = warmed(start, ask, family)
    before, columns, keys = encode(experiment), ask(9, 1), keys_of(list("abcdefghi"))
    first = decide(experiment, columns, keys, policy=policy)
    assert bits(decide(experiment, columns, keys, policy=policy)) == bits(first)
    assert encode(experiment) == before


@pytest.mark.parametrize(("family", "policy"), KINDS)
def test_arms_are_chosen_as_often_as_the_propensity_says(
    start: Start, ask: Ask, family: str, policy: PolicyName
) -> None:
    experiment = warmed(start, ask, family, floor=0.2)
    rows = 4_000
    columns = {k: np.repeat(v, rows) for k, v in ask(1, 3).items()}
    keys = keys_of([str(i) for i in range(rows)])
    decided = decide(experiment, columns, keys, policy=policy, cap=0.6)
    np.testing.assert_allclose(decided.probabilities.sum(axis=1), 1)
    assert (decided.propensity > 0).all()
    expected = decided.probabilities.sum(axis=0)
    counted = np.bincount(decided.arms, minlength=3)
    deviation = np.sqrt((decided.probabilities * (1 - decided.probabilities)).sum(axis=0))
    assert (np.abs(counted - expected) <= 4.5 * deviation + 1e-6).all()


def test_ucb_takes_the_highest_bound_and_the_floor_is_exact(start: Start, ask: Ask) -> None:
    experiment = warmed(start, ask, "gaussian", floor=0.06)
    decided = decide(experiment, ask(1, 0), keys_of(["a"]), policy="ucb", cap=1.0)
    best = experiment.posterior.beliefs(np.ones((1, 1))).optimistic(1.25).argmax()
    wanted = np.full(3, 0.02)
    wanted[best] = 0.96
    np.testing.assert_allclose(decided.probabilities[0], wanted, rtol=1e-12)
    assert decided.policy_error.tolist() == [0.0]


def test_arms_that_are_equal_share(start: Start, ask: Ask) -> None:
    decided = decide(start("gaussian"), ask(1, 0), keys_of(["a"]), policy="ucb", cap=1.0)
    np.testing.assert_allclose(decided.probabilities, 1 / 3)


def test_the_canary_is_ten_percent_unless_told(start: Start, ask: Ask) -> None:
    experiment = warmed(start, ask, "linear")
    usual = decide(experiment, ask(50, 2), keys_of([str(i) for i in range(50)]), policy="ucb")
    assert usual.canary_percentage.max() == pytest.approx(10)
    none = decide(experiment, ask(5, 2), keys_of(list("abcde")), policy="ucb", cap=0.0)
    assert none.arms.tolist() == [0] * 5


def test_vetoed_and_retired_arms_have_no_chance(start: Start, ask: Ask) -> None:
    experiment = warmed(start, ask, "linear")
    experiment.retire_arm("new")
    vetoed = np.zeros((4, 3), np.bool_)
    vetoed[2, 2] = True
    decided = decide(
        experiment, ask(4, 2), keys_of(list("abcd")), policy="thompson", cap=1.0, vetoed=vetoed
    )
    assert (decided.probabilities[:, 1] == 0).all()
    assert decided.probabilities[2].tolist() == [1.0, 0.0, 0.0]
    assert (decided.probabilities[[0, 1, 3], 2] > 0).all()


def test_the_expected_reward_is_in_its_units_and_in_its_interval(start: Start, ask: Ask) -> None:
    experiment = start("gaussian", reward_low=-200.0, reward_high=100.0)
    decided = decide(experiment, ask(3, 2), keys_of(list("abc")), policy="ucb")
    assert decided.expected.tolist() == [-50.0] * 3
    assert (decided.lower < -50).all()
    assert (decided.lower >= -200).all()
    assert (decided.upper <= 100).all()


def test_features_are_scaled_and_cut_off_at_their_range(start: Start) -> None:
    columns = {"load": np.array([-5.0, 1.0, 2.0]), "rate": np.array([0, 50, 1_000])}
    decided = decide(start(), columns, keys_of(list("abc")), policy="ucb")
    assert decided.contexts.tolist() == [[1, -1, -1], [1, 0, 0], [1, 1, 1]]


def test_no_rows_get_no_decisions(start: Start, ask: Ask) -> None:
    for family, policy in KINDS:
        decided = decide(start(family), ask(0, 1), keys_of([]), policy=policy)
        assert len(decided.arms) == 0


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"load": np.array([1.0, np.nan]), "rate": np.ones(2)}, "'load': row 1 is nan"),
        ({"load": np.ones(2), "rate": np.array([np.inf, 1.0])}, "'rate': row 0 is inf"),
        ({"load": np.ones(2)}, "'rate': is missing"),
        ({"load": np.ones(3), "rate": np.ones(2)}, "'load': must be one number a row"),
        ({"load": np.array(["1", "2"]), "rate": np.ones(2)}, "'load': must be one number a row"),
    ],
)
def test_a_bad_context_is_refused(start: Start, columns: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidColumnError, match=reason):
        decide(start(), columns, keys_of(["a", "b"]), policy="ucb")


def test_a_vetoed_baseline_is_refused_by_row(start: Start, ask: Ask) -> None:
    vetoed = np.array([[False] * 3, [True, False, False]])
    with pytest.raises(InvalidColumnError, match="the baseline 'old' is vetoed") as refused:
        decide(start(), ask(2, 1), keys_of(["a", "b"]), policy="ucb", vetoed=vetoed)
    assert refused.value.rows == (1,)
    with pytest.raises(InvalidColumnError, match="has shape"):
        decide(start(), ask(2, 1), keys_of(["a", "b"]), policy="ucb", vetoed=vetoed[:1])


def test_bad_arguments_are_refused(start: Start, ask: Ask) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"cap": 1.5}, "cap is 1.5"), ({"level": float("nan")}, "level is nan"),
    ]  # fmt: skip
    for bad, reason in wrong:
        with pytest.raises(DesignError, match=reason):
            decide(start(), ask(1, 1), keys_of(["a"]), policy="ucb", **bad)
    with pytest.raises(DesignError, match="there is no policy 'greedy'"):
        decide(start(), ask(1, 1), keys_of(["a"]), policy="greedy")  # type: ignore[arg-type]  # on purpose


@pytest.mark.parametrize(
    "settings",
    [
        {"family": "cubic"},
        {"family": "bernoulli", "features": (Feature("load"),)},
        {"family": "linear", "features": ()},
        {"features": (Feature("load"), Feature("load"))},
        {"features": (Feature("load", 1.0, 1.0),)},
        {"features": (Feature("load", 0.0, float("inf")),)},
        {"reward_low": 1.0, "reward_high": 0.0},
        {"floor": -0.1},
        {"thompson_width": 0.0},
        {"discount": 0.0},
        {"capacity": 0},
        {"missing_reward": 2.0},
        {"deadline_s": 0.0},
        {"budget": Budget(share=1.5)},
        {"budget": Budget(reserve=0.5)},
        {"budget": Budget(pricing="confidence"), "discount": 0.9},
    ],
)
def test_a_design_that_cannot_be_run_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(DesignError, match="must be"):
        Design(**{"features": (Feature("load"),)} | settings)


def test_arms_come_and_go(start: Start, ask: Ask) -> None:
    experiment = warmed(start, ask, "linear")
    experiment.add_arm("fresh")
    decided = decide(experiment, ask(4, 1), keys_of(list("abcd")), policy="thompson", cap=1.0)
    assert decided.probabilities.shape == (4, 4)
    assert (decided.probabilities[:, 3] > 0).all()
    known = experiment.posterior.beliefs(np.ones((1, 3))).mean[0, 1]
    experiment.retire_arm("new")
    experiment.add_arm("new")
    assert experiment.posterior.beliefs(np.ones((1, 3))).mean[0, 1] == known


def test_arms_that_cannot_be_changed_are_refused(start: Start) -> None:
    experiment = start()
    for change, reason in (
        (lambda: experiment.add_arm("new"), "already exists"),
        (lambda: experiment.retire_arm("old"), "is the baseline"),
        (lambda: experiment.retire_arm("none"), "no arm 'none'; the arms are: old, new, odd"),
        (lambda: experiment.set_baseline("none"), "no arm 'none'"),
        (lambda: Experiment.start(experiment.design, ["a", "a"], "a"), "a different name"),
        (lambda: Experiment.start(experiment.design, [], "a"), "at least one"),
    ):
        with pytest.raises(ArmError, match=reason):
            change()
    experiment.retire_arm("new")
    with pytest.raises(ArmError, match="is retired"):
        experiment.set_baseline("new")
