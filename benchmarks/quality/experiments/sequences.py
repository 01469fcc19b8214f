"""Confidence sequences on a thousand logs of a policy that adapts, in a world that drifts."""

from collections.abc import Iterator

import numpy as np

from benchmarks.quality.experiments.validity import ever_wrong
from benchmarks.quality.row import Row
from models.optimization.evaluation.confidence_sequence import log_wealth
from models.optimization.evaluation.logged import LoggedDecisions
from models.optimization.evaluation.reward_model import looking_back, ridge
from models.optimization.evaluation.scores import PolicyScores, running_mean
from models.protocols import FloatArray

WRONG = 0.05


def coverage_rows(runs: int = 1_000, steps: int = 1_000) -> Iterator[Row]:
    wrong = {"ipw": 0, "snipw": 0, "dr": 0}
    for seed in range(runs):
        log, target, truth = drifting_log(seed, steps)
        predictions = {
            "ipw": np.zeros_like(target),
            "snipw": np.broadcast_to(running_mean(log, target)[:, None], target.shape),
            "dr": looking_back(log, ridge, running_mean(log, target)),
        }
        for name, predicted in predictions.items():
            earned = log_wealth(PolicyScores.value(log, target, predicted))
            lacking = log_wealth(PolicyScores.shortfall(log, target, predicted))
            low, high = ever_wrong(earned, truth, 0.025), ever_wrong(lacking, 1 - truth, 0.025)
            wrong[name] += low or high
    for name, count in wrong.items():
        share = count / runs
        yield Row(f"95 % sequence of {name}, ever wrong", share, WRONG, "allowed", share <= WRONG)


def drifting_log(
    seed: int, steps: int, arms: int = 3
) -> tuple[LoggedDecisions, FloatArray, FloatArray]:
    """Log an epsilon-greedy learner; the target mostly plays an arm that it rarely does."""
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0, 2 * np.pi, arms)
    means = 0.5 + 0.3 * np.sin(np.arange(steps)[:, None] / 200 + phase)
    chances, played, rewards = np.zeros((steps, arms)), np.zeros(steps, np.int64), np.zeros(steps)
    won, tried, draws = np.ones(arms), 2 * np.ones(arms), rng.random((steps, 2))
    for t in range(steps):
        chances[t] = 0.1 / arms
        chances[t, (won / tried).argmax()] += 0.9
        played[t] = min(int((np.cumsum(chances[t]) < draws[t, 0]).sum()), arms - 1)
        rewards[t] = draws[t, 1] < means[t, played[t]]
        won[played[t]] += rewards[t]
        tried[played[t]] += 1
    target = np.broadcast_to([0.8, 0.2, 0.0], (steps, arms)).copy()
    log = LoggedDecisions(np.ones((steps, 1)), played, rewards, chances)
    return log, target, (target * means).sum(axis=1)
