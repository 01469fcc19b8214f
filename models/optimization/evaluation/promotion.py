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
    candidate: Evaluation
    incumbent: Evaluation
    gain: float | None
    """Lower bound of the candidate's value less the incumbent's; None when one is refused."""

    @property
    def promote(self) -> bool:
        if self.gain is None:
            return False
        lows = [found.estimates["dr"].lower for found in (self.candidate, self.incumbent)]
        return lows[0] > lows[1] and self.gain > 0

    @property
    def reason(self) -> str:
        """Say in words why it is, or is not, to be promoted."""
        for name, found in (("candidate", self.candidate), ("incumbent", self.incumbent)):
            if found.refusal is not None:
                return f"the {name} cannot be evaluated: {found.refusal}"
        lows = [found.estimates["dr"].lower for found in (self.candidate, self.incumbent)]
        return (
            f"the candidate's lower bound is {lows[0]:.4g}, the incumbent's is "
            f"{lows[1]:.4g}, and the lower bound of the gain is {self.gain:.4g}: a "
            "candidate is promoted only when the first is above the second and the third "
            "is above 0"
        )


def judge_promotion(
    log: LoggedDecisions,
    candidate: FloatArray,
    incumbent: FloatArray,
    *,
    level: float = 0.95,
    fit: RewardModel = ridge,
) -> Promotion:
    """Compare two policies on one log, given each one's probability of every arm in every row."""
    first, second = (evaluate(log, each, level=level, fit=fit) for each in (candidate, incumbent))
    if first.refusal is not None or second.refusal is not None:
        return Promotion(first, second, None)
    return Promotion(first, second, difference_bound(log, candidate, incumbent, 1 - level, fit))


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
