"""Whether a policy has shown itself better than the incumbent.

Two conditions. Its lower bound must be over the incumbent's, both doubly robust at the same level.
That alone would let through a policy that was merely logged more, so the lower bound of the
difference, by scores of both policies on the same decisions, must be over 0 too: at `level`, a
policy that is no better is never promoted in all but 1 - level of experiments, however often one
looks.
"""

from dataclasses import dataclass

from models.optimization.evaluation.confidence_sequence import lower_bound
from models.optimization.evaluation.evaluate import Evaluation, evaluate
from models.optimization.evaluation.logged import LoggedDecisions
from models.optimization.evaluation.overlap import usable_rows
from models.optimization.evaluation.reward_model import (
    RewardModel,
    looking_back,
    ridge,
)
from models.optimization.evaluation.scores import PolicyScores, running_mean
from models.protocols import FloatArray


@dataclass(frozen=True, slots=True)
class Promotion:
    promote: bool
    reason: str
    candidate: Evaluation
    incumbent: Evaluation
    difference_lower: float | None
    """Lower bound of the candidate's value less the incumbent's; None when it cannot be told."""


def judge_promotion(
    log: LoggedDecisions,
    candidate: FloatArray,
    incumbent: FloatArray,
    *,
    level: float = 0.95,
    fit: RewardModel = ridge,
) -> Promotion:
    """Compare two policies on one log, given each one's probability of every arm in every row."""
    both = evaluate_both(log, candidate, incumbent, level, fit)
    for name, found in zip(("candidate", "incumbent"), both, strict=True):
        if found.refusal is not None:
            return Promotion(False, f"{name}: {found.refusal}", *both, None)
    gain = difference_bound(log, candidate, incumbent, 1 - level, fit)
    lows = [found.estimates["dr"].lower for found in both]
    promote = lows[0] > lows[1] and gain > 0
    reason = (
        f"the candidate's lower bound is {lows[0]:.4g}, the incumbent's {lows[1]:.4g}; "
        f"it earns {'at least' if promote else 'shown so far'} {gain:.4g} more"
    )
    return Promotion(promote, reason, *both, gain)


def evaluate_both(
    log: LoggedDecisions,
    candidate: FloatArray,
    incumbent: FloatArray,
    level: float,
    fit: RewardModel,
) -> tuple[Evaluation, Evaluation]:
    return (
        evaluate(log, candidate, level=level, fit=fit),
        evaluate(log, incumbent, level=level, fit=fit),
    )


def difference_bound(
    log: LoggedDecisions,
    candidate: FloatArray,
    incumbent: FloatArray,
    risk: float,
    fit: RewardModel,
) -> float:
    """Bound the difference from below on the decisions that are usable for both."""
    usable = usable_rows(log, candidate) & usable_rows(log, incumbent)
    log, candidate, incumbent = log.where(usable), candidate[usable], incumbent[usable]
    if not usable.any():
        return -1.0
    earlier = looking_back(log, fit, running_mean(log, incumbent))
    scores = PolicyScores.gain(log, candidate, incumbent, earlier)
    return max(lower_bound(scores, risk, guess=0.0), -1.0)
