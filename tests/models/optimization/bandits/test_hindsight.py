"""Policies judged on an experiment's own record."""

from collections.abc import Callable

import numpy as np
import pytest

from models.errors import ArmError
from models.optimization.bandits.decide import decide
from models.optimization.bandits.experiment import Experiment
from models.optimization.bandits.feedback import learn, record
from models.optimization.bandits.hindsight import judge_policy, logged
from models.optimization.bandits.keyed import keys_of
from models.optimization.evaluation.evaluate import Evaluation

Start = Callable[..., Experiment]


def evaluated(experiment: Experiment, policy: str) -> Evaluation:
    return judge_policy(experiment, policy).candidate


def lived(start: Start, means: list[float], cap: float, steps: int = 1_500) -> Experiment:
    experiment = start("gaussian", floor=0.3, reward_low=0.0, reward_high=10.0)
    rng = np.random.default_rng(4)
    ids = [str(i) for i in range(steps)]
    for at in range(0, steps, 10):
        batch = ids[at : at + 10]
        decided = decide(experiment, {}, keys_of(batch), policy="thompson", cap=cap)
        record(experiment, batch, decided, now=float(at))
        rewards = 10.0 * (rng.random(10) < np.array(means)[decided.arms])
        learn(experiment, batch, rewards, now=float(at))
    return experiment


def test_a_better_arm_is_promoted_and_a_worse_one_is_not(start: Start) -> None:
    experiment = lived(start, [0.3, 0.8, 0.1], cap=1.0)
    better, worse = judge_policy(experiment, "new"), judge_policy(experiment, "odd")
    assert better.promote
    assert not worse.promote
    truth = better.candidate.estimates["dr"]
    assert truth.lower <= 8.0 <= truth.upper
    assert better.gain is not None
    assert 0 < better.gain <= 5.0


@pytest.mark.parametrize("policy", ["ucb", "thompson", "new"])
def test_every_policy_can_be_evaluated(start: Start, policy: str) -> None:
    found = evaluated(lived(start, [0.3, 0.8, 0.1], cap=1.0), policy)
    assert set(found.estimates) == {"ipw", "snipw", "dm", "dr"}
    assert found.estimates["dr"].lower <= 8.0 <= found.estimates["dr"].upper


def test_a_policy_is_not_judged_on_what_taught_it(start: Start) -> None:
    experiment = lived(start, [0.5, 0.5, 0.5], cap=1.0)
    assert evaluated(experiment, "ucb").overlap.decisions == 750
    assert evaluated(experiment, "new").overlap.decisions == 1_500


def test_thin_overlap_is_refused_in_words(start: Start) -> None:
    found = judge_policy(lived(start, [0.5, 0.9, 0.5], cap=0.02, steps=400), "odd")
    assert not found.promote
    assert found.gain is None
    assert "the candidate cannot be evaluated: the log overlaps too little" in found.reason


@pytest.mark.parametrize("policy", ["ucb", "thompson", "new"])
def test_without_a_reward_there_is_nothing_to_judge_by(start: Start, policy: str) -> None:
    experiment = lived(start, [0.3, 0.8, 0.1], cap=1.0, steps=0)
    for _ in range(2):
        assert "there are no decisions with a reward yet" in judge_policy(experiment, policy).reason
        assert "no decisions with" in str(evaluated(experiment, policy).refusal)
        ids = ["a", "b"]  # decided, and nobody has said what became of it
        record(experiment, ids, decide(experiment, {}, keys_of(ids), policy="ucb"), now=0.0)


def test_decisions_from_before_an_arm_existed_are_left_out(start: Start) -> None:
    experiment = lived(start, [0.3, 0.8, 0.1], cap=1.0, steps=200)
    experiment.add_arm("later")
    assert "every arm of this policy had a chance" in str(evaluated(experiment, "later").refusal)
    with pytest.raises(ArmError, match="no arm 'none'"):
        evaluated(experiment, "none")


def test_only_rewarded_decisions_are_logged_and_in_order(start: Start) -> None:
    experiment = start("bernoulli", capacity=4)
    ids = [str(i) for i in range(6)]
    for name in ids:
        decided = decide(experiment, {}, keys_of([name]), policy="ucb", cap=1.0)
        record(experiment, [name], decided, now=0.0)
    learn(experiment, ["5", "2", "4"], np.array([0.5, 0.2, 0.4]), now=1.0)
    assert logged(experiment).rewards.tolist() == [0.2, 0.4, 0.5]
