"""What another policy would have earned on the decisions on record, and whether to promote it.

A policy that learnt from a decision must not be judged on it. So ucb and thompson are taught the
older half of the record and judged on the newer; a single arm learns nothing and is judged on all.
The policies are taken as they are, with no floor and no cap. Values are in the reward's units.
"""

from dataclasses import replace

import numpy as np

from models.optimization.bandits.contexts import in_units
from models.optimization.bandits.decide import choose
from models.optimization.bandits.design import Design, PolicyName
from models.optimization.bandits.experiment import Experiment, fresh_posterior
from models.optimization.bandits.keyed import uniforms
from models.optimization.evaluation.estimates import Estimate
from models.optimization.evaluation.evaluate import Evaluation
from models.optimization.evaluation.logged import LoggedDecisions
from models.optimization.evaluation.promotion import Promotion, judge_promotion
from models.protocols import FloatArray

_POLICIES: tuple[PolicyName, ...] = ("ucb", "thompson")


def logged(experiment: Experiment) -> LoggedDecisions:
    """Take the decisions on record whose reward is known, the oldest first."""
    log, order = experiment.log, np.array(experiment.log.in_order(), np.int64)
    rows = order[np.isfinite(log.rewards[order])]
    return LoggedDecisions(
        log.contexts[rows], log.arms[rows], log.rewards[rows], log.probabilities[rows]
    )


def judge_policy(experiment: Experiment, policy: str, level: float = 0.95) -> Promotion:
    """Judge whether a policy has shown itself better than always the baseline."""
    rows, target = _judged(experiment, policy)
    found = judge_promotion(
        rows, target, _always(experiment, rows, experiment.baseline), level=level
    )
    design, gain = experiment.design, found.gain
    return replace(
        found,
        candidate=_in_units(design, found.candidate),
        incumbent=_in_units(design, found.incumbent),
        gain=None if gain is None else gain * (design.reward_high - design.reward_low),
    )


def _judged(experiment: Experiment, policy: str) -> tuple[LoggedDecisions, FloatArray]:
    rows = logged(experiment)
    for name in _POLICIES:
        if policy == name:
            half = len(rows.arms) // 2
            newer = rows.where(slice(half, None))
            return newer, _taught(experiment, name, rows.where(slice(half)), newer)
    return rows, _always(experiment, rows, policy)


def _taught(
    experiment: Experiment, policy: PolicyName, older: LoggedDecisions, newer: LoggedDecisions
) -> FloatArray:
    """Give a policy's probabilities in the newer rows after it learnt from the older ones."""
    posterior = fresh_posterior(experiment.design, len(experiment.arms))
    only = np.zeros(1, np.int64)
    for i in range(len(older.arms)):
        one = slice(i, i + 1)
        posterior.learn(only, older.arms[one], older.contexts[one], older.rewards[one])
    eligible = np.repeat(experiment.active()[None], len(newer.arms), axis=0)
    draws = uniforms(np.arange(len(newer.arms), dtype=np.uint64), 1)
    beliefs = posterior.beliefs(newer.contexts)
    width = experiment.design.width_of(policy)
    return choose(beliefs, eligible, draws, policy, width).probability


def _always(experiment: Experiment, rows: LoggedDecisions, arm: str) -> FloatArray:
    chances = np.zeros(rows.probabilities.shape)
    chances[:, experiment.arm(arm)] = 1.0
    return chances


def _in_units(design: Design, evaluation: Evaluation) -> Evaluation:
    def back(each: Estimate) -> Estimate:
        ends = in_units(design, np.array([each.value, each.lower, each.upper]))
        return Estimate(*ends.tolist())

    scaled = {name: back(each) for name, each in evaluation.estimates.items()}
    return replace(evaluation, estimates=scaled)
