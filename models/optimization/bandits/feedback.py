"""Put decisions on record, and count rewards once each, however they come."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidColumnError
from models.optimization.bandits.budget import paid_in
from models.optimization.bandits.contexts import scaled_rewards
from models.optimization.bandits.decide import Decisions
from models.optimization.bandits.decision_log import Status, checked_ids
from models.optimization.bandits.experiment import Experiment

_ONLY = np.zeros(1, np.int64)


class Verdict(StrEnum):
    """What became of a reward."""

    REWARDED = "rewarded"
    DUPLICATE = "duplicate"
    LATE = "late"
    UNKNOWN = "unknown"


def record(
    experiment: Experiment, ids: Sequence[str], decisions: Decisions, now: float
) -> list[bool]:
    """Put decisions on record before they are answered; one that is there already is left alone.

    Between `decide` and `record` no other decision of the experiment may be made: the budget's
    balance and the arms must be those that were decided on.
    """
    names = checked_ids(list(ids))
    if len(names) != len(decisions.arms):
        raise InvalidColumnError(
            "decision_id", f"{len(names)} ids were given for {len(decisions.arms)} rows"
        )
    new = [experiment.log.row_of(name) is None for name in names]
    for row in np.flatnonzero(new).tolist():
        _record_one(experiment, names[row], decisions, row, now)
    return new


def judge(experiment: Experiment, ids: Sequence[str], now: float) -> list[Verdict]:
    """Say what `learn` will do with each of these rewards; changes nothing."""
    verdicts, seen = [], set()
    for name in ids:
        verdict = _verdict(experiment, name, now)
        again = name in seen and verdict is Verdict.REWARDED
        verdicts.append(Verdict.DUPLICATE if again else verdict)
        seen.add(name)
    return verdicts


def learn(
    experiment: Experiment, ids: Sequence[str], rewards: NDArray[Any], now: float
) -> list[Verdict]:
    """Learn from the rewards that count, in their order; the others leave only their tally.

    A bad reward (not finite, outside the declared range) is refused with all of its batch.
    """
    scaled = scaled_rewards(experiment.design, rewards)
    if len(ids) != len(scaled):
        raise InvalidColumnError(
            "reward", f"{len(scaled)} rewards were given for {len(ids)} decisions"
        )
    expire(experiment, now)
    verdicts = judge(experiment, ids, now)
    for name, reward, verdict in zip(ids, scaled.tolist(), verdicts, strict=True):
        experiment.tally[verdict] += 1
        row = experiment.log.row_of(name)
        if verdict is Verdict.REWARDED and row is not None:
            experiment.log.status[row] = Status.SETTLED
            _count(experiment, row, reward)
    return verdicts


def expire(experiment: Experiment, now: float) -> int:
    """Give up on rewards past their deadline; with `missing_reward` set, count that instead."""
    if experiment.design.deadline_s is None:
        return 0
    overdue = experiment.log.overdue(now - experiment.design.deadline_s)
    for row in overdue:
        _give_up(experiment, row)
    return len(overdue)


def pending_among(experiment: Experiment, ids: Sequence[str]) -> list[str]:
    """Name those of these decisions that still wait for their reward."""
    log = experiment.log
    rows = {name: log.row_of(name) for name in ids}
    return [
        name for name, row in rows.items() if row is not None and log.status[row] == Status.PENDING
    ]


def withdraw(experiment: Experiment, ids: Sequence[str]) -> int:
    """Take back decisions that nobody was given: no reward can come, and none is missing.

    Later decisions take their places in the log before they push out any other. What a budget was
    charged for them stays charged: too little is left rather than too much.
    """
    log = experiment.log
    names = pending_among(experiment, ids)
    log.take_back([row for name in names if (row := log.row_of(name)) is not None])
    experiment.tally["withdrawn"] = experiment.tally.get("withdrawn", 0) + len(names)
    return len(names)


def _record_one(
    experiment: Experiment, name: str, decisions: Decisions, row: int, now: float
) -> None:
    log, budgeted = experiment.log, experiment.design.budget
    leaving = log.next_row()
    if leaving is not None and log.status[leaving] == Status.PENDING:
        _give_up(experiment, leaving)
    arm, on_baseline = int(decisions.arms[row]), bool(decisions.on_baseline[row])
    context, chances = decisions.contexts[row], decisions.probabilities[row]
    log.append(name, now, context, chances, arm, on_baseline=on_baseline)
    if budgeted is not None:
        _pay(experiment, float(decisions.credits[row]))
        experiment.balance -= float(decisions.prices[row])


def _verdict(experiment: Experiment, name: str, now: float) -> Verdict:
    log, deadline = experiment.log, experiment.design.deadline_s
    if (row := log.row_of(name)) is None:
        return Verdict.UNKNOWN
    if log.status[row] == Status.SETTLED:
        return Verdict.DUPLICATE
    over = deadline is not None and log.decided_at[row] < now - deadline
    given_up = log.status[row] in (Status.MISSING, Status.WITHDRAWN)
    return Verdict.LATE if over or given_up else Verdict.REWARDED


def _give_up(experiment: Experiment, row: int) -> None:
    design = experiment.design
    experiment.log.status[row] = Status.MISSING
    experiment.tally["missing"] += 1
    if design.missing_reward is not None:
        scaled = scaled_rewards(design, np.array([design.missing_reward]))
        _count(experiment, row, float(scaled[0]))


def _count(experiment: Experiment, row: int, reward: float) -> None:
    log, budgeted = experiment.log, experiment.design.budget
    log.rewards[row] = reward
    arm, context = log.arms[row : row + 1], log.contexts[row : row + 1]
    experiment.posterior.learn(_ONLY, arm, context, np.array([reward]))
    if budgeted and budgeted.pricing == "worst_case" and log.on_baseline[row]:
        _pay(experiment, budgeted.share * reward)


def _pay(experiment: Experiment, amount: float) -> None:
    if (budgeted := experiment.design.budget) is not None:
        balance = np.array([experiment.balance])
        paid = paid_in(balance, np.array([amount]), budgeted.reserve)
        experiment.balance = float(paid[0])
