"""Rewards that are delayed, missing, doubled or late are counted once or not at all."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import InvalidColumnError
from models.optimization.bandits.decide import decide
from models.optimization.bandits.decision_log import Status
from models.optimization.bandits.design import Budget, Design
from models.optimization.bandits.experiment import Experiment
from models.optimization.bandits.feedback import Verdict, expire, judge, learn, record
from models.optimization.bandits.keyed import keys_of
from models.optimization.bandits.snapshot import encode

Start = Callable[..., Experiment]


def put(experiment: Experiment, ids: list[str], now: float, cap: float = 1.0) -> np.ndarray:
    decided = decide(experiment, {}, keys_of(ids), policy="thompson", cap=cap)
    record(experiment, ids, decided, now)
    return decided.arms


def give(experiment: Experiment, ids: list[str], rewards: list[float], now: float) -> list[str]:
    return [str(verdict) for verdict in learn(experiment, ids, np.array(rewards), now)]


def counted(experiment: Experiment) -> float:
    posterior: Any = experiment.posterior
    return float((posterior.successes + posterior.failures).sum())


def test_a_reward_counts_once_for_the_arm_that_earned_it(start: Start) -> None:
    experiment = start("bernoulli")
    arms = put(experiment, ["a", "b"], now=0.0)
    assert give(experiment, ["b"], [1.0], now=1.0) == ["rewarded"]
    posterior: Any = experiment.posterior
    assert posterior.successes[0, arms[1]] == 1
    assert counted(experiment) == 1


def test_a_second_reward_changes_nothing(start: Start) -> None:
    experiment = start("bernoulli")
    put(experiment, ["a", "b"], now=0.0)
    assert give(experiment, ["a", "a"], [1.0, 0.0], now=1.0) == ["rewarded", "duplicate"]
    assert give(experiment, ["a"], [1.0], now=2.0) == ["duplicate"]
    assert counted(experiment) == 1
    assert experiment.tally["duplicate"] == 2


def test_an_unknown_decision_earns_nothing(start: Start) -> None:
    experiment = start("bernoulli")
    assert give(experiment, ["never"], [1.0], now=1.0) == ["unknown"]
    assert counted(experiment) == 0


def test_rewards_may_come_in_any_order_but_not_past_the_deadline(start: Start) -> None:
    experiment = start("bernoulli", deadline_s=10.0)
    put(experiment, ["a"], now=0.0)
    put(experiment, ["b"], now=5.0)
    assert give(experiment, ["b", "a"], [1.0, 1.0], now=10.5) == ["rewarded", "late"]
    assert experiment.tally == {
        "rewarded": 1, "duplicate": 0, "late": 1, "unknown": 0, "missing": 1,
    }  # fmt: skip


def test_a_missing_reward_counts_as_designed(start: Start) -> None:
    silent = start("bernoulli", deadline_s=10.0)
    telling = start("bernoulli", deadline_s=10.0, missing_reward=0.0)
    for experiment in (silent, telling):
        put(experiment, ["a", "b"], now=0.0)
        assert expire(experiment, now=9.0) == 0
        assert expire(experiment, now=11.0) == 2
        assert expire(experiment, now=12.0) == 0
    assert (counted(silent), counted(telling)) == (0, 2)
    assert give(telling, ["a"], [1.0], now=13.0) == ["late"]


def test_it_does_not_matter_when_expiry_is_noticed(start: Start) -> None:
    apart, together = (
        start("bernoulli", deadline_s=10.0, missing_reward=0.0, discount=0.9) for _ in range(2)
    )
    for experiment in (apart, together):
        put(experiment, ["a", "b"], now=0.0)
        put(experiment, ["c"], now=8.0)
    expire(apart, now=11.0)
    for experiment in (apart, together):
        give(experiment, ["c"], [1.0], now=12.0)
    assert encode(apart) == encode(together)


def test_the_log_is_bounded_and_what_it_drops_is_missing(start: Start) -> None:
    experiment = start("bernoulli", capacity=5)
    ids = [f"d{i}" for i in range(12)]
    for name in ids:
        put(experiment, [name], now=0.0)
    assert len(experiment.log.ids) == 5
    assert [experiment.log.ids[row].decode() for row in experiment.log.in_order()] == ids[7:]
    assert experiment.tally["missing"] == 7
    assert give(experiment, ["d6", "d7"], [1.0, 1.0], now=1.0) == ["unknown", "rewarded"]


def test_a_decision_is_recorded_once(start: Start) -> None:
    experiment = start("bernoulli", budget=Budget(share=0.5))
    decided = decide(experiment, {}, keys_of(["a", "b"]), policy="ucb")
    assert record(experiment, ["a", "b"], decided, now=0.0) == [True, True]
    before = encode(experiment)
    assert record(experiment, ["a", "b"], decided, now=9.0) == [False, False]
    assert encode(experiment) == before


def test_a_judgement_is_what_learning_does_and_leaves_no_trace(start: Start) -> None:
    experiment = start("bernoulli", deadline_s=10.0)
    put(experiment, ["a", "b"], now=0.0)
    put(experiment, ["c"], now=6.0)
    ids, before = ["c", "c", "a", "x"], encode(experiment)
    verdicts = judge(experiment, ids, now=11.0)
    assert encode(experiment) == before
    assert verdicts == learn(experiment, ids, np.ones(4), now=11.0)
    assert verdicts == [Verdict.REWARDED, Verdict.DUPLICATE, Verdict.LATE, Verdict.UNKNOWN]


def test_an_arm_retired_meanwhile_still_learns(start: Start) -> None:
    experiment = start("bernoulli")
    arms = put(experiment, [str(i) for i in range(30)], now=0.0)
    index = int(np.flatnonzero(arms == 1)[0])
    experiment.retire_arm("new")
    give(experiment, [str(index)], [1.0], now=1.0)
    posterior: Any = experiment.posterior
    assert posterior.successes[0, 1] == 1


def test_an_old_world_is_forgotten(start: Start) -> None:
    experiment = start("bernoulli", discount=0.9)
    for step in range(200):
        put(experiment, [f"d{step}"], now=float(step))
        give(experiment, [f"d{step}"], [0.0 if step < 100 else 1.0], now=float(step))
    assert counted(experiment) == pytest.approx(10, rel=1e-3)  # 1 / (1 - discount)
    posterior: Any = experiment.posterior
    assert posterior.failures.sum() < 0.01


@pytest.mark.parametrize("reward", [np.nan, np.inf, -0.1, 1.1])
def test_a_bad_reward_is_refused_with_its_batch(start: Start, reward: float) -> None:
    experiment = start("bernoulli")
    put(experiment, ["a", "b"], now=0.0)
    before = encode(experiment)
    with pytest.raises(InvalidColumnError, match="column 'reward': row 1") as refused:
        learn(experiment, ["a", "b"], np.array([1.0, reward]), now=1.0)
    assert refused.value.rows == (1,)
    assert encode(experiment) == before


def test_bad_ids_are_refused(start: Start) -> None:
    experiment = start("bernoulli")
    decided = decide(experiment, {}, keys_of(["a", "b"]), policy="ucb")
    for ids in (["a", "a"], ["a", ""], ["a", "x" * 65], ["a", "x\0"], ["a"]):
        with pytest.raises(InvalidColumnError, match="decision_id"):
            record(experiment, ids, decided, now=0.0)
    assert experiment.log.recorded == 0


@settings(max_examples=40)
@given(st.data())
def test_however_rewards_come_each_is_counted_at_most_once(data: st.DataObject) -> None:
    design = Design(family="bernoulli", capacity=8, deadline_s=5.0)
    experiment = Experiment.start(design, ["old", "new"], "old")
    made, rewarded, now = 0, set[str](), 0.0
    for _ in range(data.draw(st.integers(1, 40))):
        now += data.draw(st.floats(0, 2))
        if data.draw(st.booleans()):
            put(experiment, [f"d{made}"], now)
            made += 1
        else:
            name = f"d{data.draw(st.integers(0, 30))}"
            verdict = give(experiment, [name], [1.0], now)[0]
            assert not (verdict == "rewarded" and name in rewarded)
            rewarded |= {name} if verdict == "rewarded" else set()
    assert counted(experiment) == len(rewarded) == experiment.tally["rewarded"]
    kept = experiment.log.status[: experiment.log.kept]
    assert (kept == Status.SETTLED).sum() <= len(rewarded)
