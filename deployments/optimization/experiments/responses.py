"""What is said of an experiment: a decision, an arm's posterior, all of it."""

from dataclasses import asdict
from typing import Any

import numpy as np

from deployments.api.bandits import LEVEL
from deployments.optimization.experiments.events import Event
from deployments.runtime.state.handler import Reply
from models.optimization.bandits.bernoulli import BernoulliPosterior
from models.optimization.bandits.contexts import in_units
from models.optimization.bandits.decide import Decisions
from models.optimization.bandits.decision_log import Status
from models.optimization.bandits.experiment import Experiment
from models.protocols import FloatArray


def reply_to_decide(experiment: Experiment, decisions: Decisions, row: int) -> Reply[Event]:
    return Reply(
        {
            "expected_reward": float(decisions.expected[row]),
            "lower": float(decisions.lower[row]),
            "upper": float(decisions.upper[row]),
            "propensity": float(decisions.propensity[row]),
            "canary_percentage": float(decisions.canary_percentage[row]),
        },
        {
            "data": {
                "config": experiment.arms[decisions.arms[row]],
                "exploring": bool(decisions.exploring[row]),
            }
        },
    )


def repeat_decision(experiment: Experiment, row: int) -> Reply[Event]:
    """Say a decision on record once more, with what is believed of its arm by now."""
    log = experiment.log
    arm, chances = int(log.arms[row]), log.probabilities[row]
    mean, lower, upper = _believed(experiment, log.contexts[row : row + 1])
    baseline = arm if log.on_baseline[row] else experiment.baseline_arm
    columns = {
        "expected_reward": float(mean[arm]),
        "lower": float(lower[arm]),
        "upper": float(upper[arm]),
        "propensity": float(chances[arm]),
        "canary_percentage": 100 * float(1 - chances[baseline]),
    }
    exploring = bool(mean[arm] < mean[chances > 0].max())
    return Reply(columns, {"data": {"config": experiment.arms[arm], "exploring": exploring}})


def reply_to_reward(experiment: Experiment, name: str, row: int) -> Reply[Event]:
    """Say what is believed of a decision's arm in its context, now that its reward is known."""
    arm = int(experiment.log.arms[row])
    mean, lower, upper = (
        float(each[arm]) for each in _believed(experiment, experiment.log.contexts[row : row + 1])
    )
    columns = {"expected_reward": mean, "lower": lower, "upper": upper}
    posterior = {"mean": mean, "lower": lower, "upper": upper, "weight": weight(experiment, arm)}
    data = {"experiment": name, "config": experiment.arms[arm], "posterior": posterior}
    return Reply(columns, {"data": data})


def describe(experiment: Experiment, name: str) -> dict[str, Any]:
    """Show the design, the arms in the middle of every feature's range, and the counts."""
    middle = np.zeros((1, experiment.design.width_of_context))
    middle[0, 0] = 1.0
    log, believed = experiment.log, _believed(experiment, middle)
    given = log.status[: log.kept] != Status.WITHDRAWN
    made = np.bincount(log.arms[: log.kept][given], minlength=len(experiment.arms)).tolist()
    pending = int((log.status[: log.kept] == Status.PENDING).sum())
    return {
        "experiment": name,
        "design": asdict(experiment.design),
        "baseline": experiment.baseline,
        "arms": [
            {
                "config": arm,
                "retired": arm in experiment.retired,
                "mean": mean,
                "lower": lower,
                "upper": upper,
                "weight": weight(experiment, at),
                "decisions": made[at],
            }
            for at, (arm, mean, lower, upper) in enumerate(
                zip(experiment.arms, *(each.tolist() for each in believed), strict=True)
            )
        ],
        "decisions": log.recorded,
        "kept": log.kept,
        "pending": pending,
        "withdrawn": experiment.tally.get("withdrawn", 0),
        "rewards": experiment.tally["rewarded"],
        "missing": experiment.tally["missing"],
        "budget_left": experiment.balance if experiment.design.budget else None,
    }


def weight(experiment: Experiment, arm: int) -> float:
    """Say how many rewards an arm's posterior counts, fewer where older ones fade."""
    posterior = experiment.posterior
    if isinstance(posterior, BernoulliPosterior):
        return float(posterior.successes[0, arm] + posterior.failures[0, arm])
    return float(posterior.precision[0, arm, 0, 0])  # the intercept's: one for each reward


def _believed(
    experiment: Experiment, context: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Give every arm's mean and interval in a context, in the reward's units."""
    beliefs = experiment.posterior.beliefs(context)
    lower, upper = beliefs.interval(LEVEL)
    mean, low, high = (
        in_units(experiment.design, each[0])
        for each in (beliefs.mean, np.maximum(lower, 0.0), np.minimum(upper, 1.0))
    )
    return mean, low, high
