"""The budget's guarantee, through decide, record and learn."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.optimization.bandits.decide import decide
from models.optimization.bandits.design import Budget, Design
from models.optimization.bandits.experiment import Experiment
from models.optimization.bandits.feedback import learn, record
from models.optimization.bandits.keyed import keys_of

Start = Callable[..., Experiment]


@settings(max_examples=25)
@given(
    share=st.floats(0.05, 1.0),
    reserve=st.floats(1.0, 4.0),
    world=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    delay=st.integers(0, 5),
    seed=st.integers(0, 10_000),
)
def test_no_window_loses_more_than_its_share_and_the_reserve(
    share: float, reserve: float, world: list[float], delay: int, seed: int
) -> None:
    """Worst case: true of the rewards as they come, whatever the world does."""
    design = Design(family="bernoulli", budget=Budget(share=share, reserve=reserve))
    experiment = Experiment.start(design, ["old", "new", "odd"], "old")
    rng, waiting, over, least = (
        np.random.default_rng(seed),
        list[tuple[str, float, bool]](),
        0.0,
        0.0,
    )
    for step in range(120):
        name = f"{seed}-{step}"
        decided = decide(experiment, {}, keys_of([name]), policy="thompson", cap=1.0)
        record(experiment, [name], decided, now=float(step))
        on_baseline = bool(decided.on_baseline[0])
        over += 0.0 if on_baseline else 1.0  # the most that the decision can have lost
        assert over <= 1e-9  # since the start
        assert over - least <= reserve + 1e-9  # over any window
        waiting.append((name, float(rng.random() < world[decided.arms[0]]), on_baseline))
        if len(waiting) > delay:
            name, reward, on_baseline = waiting.pop(0)
            learn(experiment, [name], np.array([reward]), now=float(step))
            over -= share * reward if on_baseline else 0.0
            least = min(least, over)


def test_nothing_is_tried_before_the_baseline_has_earned_it(start: Start) -> None:
    experiment = start("bernoulli", budget=Budget(share=0.25))
    arms = []
    for step in range(40):
        decided = decide(experiment, {}, keys_of([str(step)]), policy="thompson", cap=1.0)
        record(experiment, [str(step)], decided, now=0.0)
        learn(experiment, [str(step)], np.ones(1), now=0.0)
        arms.append(int(decided.arms[0]))
    assert arms[:4] == [0, 0, 0, 0]
    assert any(arms)
    assert np.mean(np.array(arms) > 0) <= 0.2


def test_an_arm_that_is_shown_to_be_better_becomes_free(start: Start) -> None:
    budget = Budget(share=0.2, pricing="confidence")
    experiment, rng = start("bernoulli", budget=budget), np.random.default_rng(2)
    means, tried = np.array([0.2, 0.95, 0.1]), []
    for step in range(1_500):
        decided = decide(experiment, {}, keys_of([str(step)]), policy="ucb", cap=1.0)
        record(experiment, [str(step)], decided, now=0.0)
        reward = (rng.random(1) < means[decided.arms]).astype(np.float64)
        learn(experiment, [str(step)], reward, now=0.0)
        tried.append(int(decided.arms[0]) == 1)
    assert np.mean(tried[:200]) < 0.1
    assert np.mean(tried[-200:]) > 0.8


def test_another_baseline_starts_with_nothing_saved(start: Start) -> None:
    experiment = start("bernoulli", budget=Budget(share=1.0))
    decided = decide(experiment, {}, keys_of(["a"]), policy="ucb", cap=0.0)
    record(experiment, ["a"], decided, now=0.0)
    learn(experiment, ["a"], np.ones(1), now=0.0)
    assert experiment.balance == pytest.approx(1.0)
    experiment.set_baseline("new")
    assert experiment.balance == 0.0
