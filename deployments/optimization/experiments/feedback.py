"""Feedback to the decisions of an experiment: their rewards, and those that nobody was given."""

from collections.abc import Sequence

from deployments.optimization.experiments import responses
from deployments.optimization.experiments.beginning import conflict
from deployments.optimization.experiments.events import Event, Rewarded
from deployments.optimization.experiments.operations import Reward
from deployments.optimization.experiments.state import KeptExperiment, apply
from deployments.runtime.batch import Refusal
from deployments.runtime.state.handler import Reply
from models.optimization.bandits.experiment import Experiment
from models.optimization.bandits.feedback import Verdict, judge, pending_among


def take_reward(kept: KeptExperiment, ask: Reward, now: float) -> Reply[Event]:
    """Count a decision's reward, or say why it cannot be counted."""
    if why := _unfit(kept.experiment, ask, now):
        return Reply(refusal=why)
    event: Event = {"reward": list(Rewarded(ask["decision"], ask["reward"], now))}
    apply(kept, event)
    experiment = kept.experiment
    row = None if experiment is None else experiment.log.row_of(ask["decision"])
    if experiment is None or row is None:
        return Reply(refusal=_no_decision(ask["decision"]))
    reply = responses.reply_to_reward(experiment, kept.name, row)
    reply.event = event
    return reply


def withdraw_decisions(kept: KeptExperiment, decisions: Sequence[str]) -> Event | None:
    """Withdraw those of the decisions that are on record."""
    experiment = kept.experiment
    known = [] if experiment is None else pending_among(experiment, decisions)
    if not known:
        return None
    event: Event = {"withdraw": known}
    apply(kept, event)
    return event


def _unfit(experiment: Experiment | None, ask: Reward, now: float) -> Refusal | None:
    if experiment is None:
        return _no_decision(ask["decision"])
    (verdict,) = judge(experiment, [ask["decision"]], now)
    if verdict is Verdict.UNKNOWN:
        return _no_decision(ask["decision"])
    if verdict is Verdict.DUPLICATE:
        return {"code": "conflict", "message": f"Decision {ask['decision']} already has its reward"}
    if verdict is Verdict.LATE:
        message = (
            f"The reward of decision {ask['decision']} is too late: the experiment no longer "
            "accepts it"
        )
        return {"code": "conflict", "message": message}
    low, high = experiment.design.reward_low, experiment.design.reward_high
    if not low <= ask["reward"] <= high:
        return conflict(
            "reward",
            f"The reward {ask['reward']} is outside the experiment's range of {low} to {high}",
        )
    return None


def _no_decision(decision_id: str) -> Refusal:
    message = (
        f"No experiment has decision {decision_id} on record: the fallback made it, or "
        "newer decisions have replaced it"
    )
    return {"code": "not_found", "message": message}
