"""The value of a policy on logged decisions, or in words why it cannot be told."""

from dataclasses import dataclass

from models.optimization.evaluation import estimates
from models.optimization.evaluation.estimates import Estimate, Predictions
from models.optimization.evaluation.logged import LoggedDecisions, check_chances
from models.optimization.evaluation.overlap import Overlap, overlap_of, usable_rows
from models.optimization.evaluation.reward_model import (
    RewardModel,
    cross_fitted,
    even_folds,
    looking_back,
    ridge,
)
from models.optimization.evaluation.scores import running_mean
from models.protocols import FloatArray, IntArray

FOLDS = 3


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Estimates by name: ipw, snipw, dm, dr; none of them when refused."""

    estimates: dict[str, Estimate]
    overlap: Overlap
    level: float

    @property
    def refusal(self) -> str | None:
        return self.overlap.refusal


def evaluate(
    log: LoggedDecisions,
    target: FloatArray,
    *,
    level: float = 0.95,
    fit: RewardModel = ridge,
    fold_of: IntArray | None = None,
) -> Evaluation:
    """Value a policy, given its probability of every arm in every row of the log.

    The policy must not have been learnt from these rows. `fold_of` says which fold of the
    cross-fitting each row is in.
    """
    check_chances(target, log.probabilities.shape, "target")
    overlap, risk = overlap_of(log, target), 1 - level
    if overlap.refusal is not None:
        return Evaluation({}, overlap, level)
    usable = usable_rows(log, target)
    folds = even_folds(len(usable), FOLDS) if fold_of is None else fold_of
    log, target = log.where(usable), target[usable]
    predictions = predicted(log, target, fit, folds[usable])
    robust = estimates.doubly_robust(log, target, predictions, risk)
    found = {
        "ipw": estimates.inverse_propensity(log, target, risk),
        "snipw": estimates.self_normalised(log, target, risk),
        "dm": estimates.direct(target, predictions, robust),
        "dr": robust,
    }
    return Evaluation(found, overlap, level)


def predicted(
    log: LoggedDecisions, target: FloatArray, fit: RewardModel, folds: IntArray
) -> Predictions:
    return Predictions(
        crossed=cross_fitted(log, fit, folds),
        earlier=looking_back(log, fit, running_mean(log, target)),
    )
