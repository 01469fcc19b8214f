"""Whether the log says anything about a policy: how far the two overlap.

The effective sample size is Kish's (1965), (sum w)^2 / sum w^2: as many decisions of the policy's
own would be as good.
"""

from dataclasses import dataclass

import numpy as np

from models.optimization.evaluation.logged import LoggedDecisions
from models.protocols import BoolArray, FloatArray

LEAST_EFFECTIVE = 50.0
LARGEST_SHARE = 0.10


@dataclass(frozen=True, slots=True)
class Overlap:
    decisions: int
    usable: int
    """Those at which every arm that the policy may choose had a chance."""
    effective: float
    largest_weight: float
    largest_share: float
    """Of all weight, on one decision."""
    mean_weight: float
    """Near 1 when the propensities on record are the true ones."""

    @property
    def refusal(self) -> str | None:
        """Say in words why no value can be given; None when it can."""
        if self.decisions == 0:
            return (
                "there are no decisions with a reward yet; request decisions, and report "
                "their rewards"
            )
        if self.usable == 0:
            return (
                f"in none of the {self.decisions} decisions every arm of this policy had "
                "a chance; log decisions with an exploration floor over these arms"
            )
        if self.effective < LEAST_EFFECTIVE:
            return (
                f"the log overlaps too little with this policy: its {self.usable} usable "
                f"decisions count as {self.effective:.1f} of the policy's own, and "
                f"{LEAST_EFFECTIVE:.0f} are needed; log more decisions, or explore more"
            )
        if self.largest_share > LARGEST_SHARE:
            return (
                f"one decision has {self.largest_share:.0%} of all weight (its weight is "
                f"{self.largest_weight:.3g}), and at most {LARGEST_SHARE:.0%} is allowed; "
                "log more decisions, or explore more"
            )
        return None


def importance(log: LoggedDecisions, target: FloatArray) -> FloatArray:
    """Weigh every arm of every row: the policy's probability over the log's, 0 where both are."""
    weights: FloatArray = np.divide(
        target, log.probabilities, out=np.zeros_like(target), where=log.probabilities > 0
    )
    return weights


def usable_rows(log: LoggedDecisions, target: FloatArray) -> BoolArray:
    """Find the rows where no arm that the policy may choose had a probability of 0.

    Which arms had a chance was settled before the reward (vetoes, arms that came later, a spent
    budget), so leaving rows out by it biases nothing as to the rest.
    """
    supported: BoolArray = (target <= 0) | (log.probabilities > 0)
    return np.asarray(supported.all(axis=1))


def overlap_of(log: LoggedDecisions, target: FloatArray) -> Overlap:
    """Measure the overlap; the log's usable rows count."""
    usable = usable_rows(log, target)
    weights = log.of_chosen(importance(log, target))[usable]
    total, squares = weights.sum(), np.square(weights).sum()
    largest = float(weights.max(initial=0.0))
    return Overlap(
        decisions=len(usable),
        usable=int(usable.sum()),
        effective=float(total**2 / squares) if squares > 0 else 0.0,
        largest_weight=largest,
        largest_share=largest / float(total) if total > 0 else 1.0,
        mean_weight=float(total) / max(len(weights), 1),
    )
