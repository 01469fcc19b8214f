"""Choose an arm for each request of a batch, with the exact chance it had of being chosen."""

from dataclasses import dataclass

import numpy as np

from models.errors import DesignError, InvalidColumnError
from models.optimization.bandits import budget, policies
from models.optimization.bandits.beliefs import Beliefs
from models.optimization.bandits.best_arm import Chances
from models.optimization.bandits.contexts import context_rows, in_units
from models.optimization.bandits.design import PolicyName
from models.optimization.bandits.experiment import Experiment
from models.optimization.bandits.keyed import KeyArray, uniforms
from models.optimization.bandits.restraint import canary_percentage, with_floor, within_cap
from models.protocols import BoolArray, Columns, FloatArray, IntArray

CANARY = 0.10
_CHOICE, _DRAWS = 1, 2  # the first uniform is the noise's, the second draws the arm


@dataclass(frozen=True, slots=True)
class Decisions:
    """One row a request. The first six columns are what `record` needs."""

    contexts: FloatArray
    arms: IntArray
    probabilities: FloatArray
    """Of every arm; they are what off-policy evaluation needs later."""
    on_baseline: BoolArray
    prices: FloatArray
    """What the budget is charged for the arm that was chosen."""
    credits: FloatArray
    """What the budget is paid for the row, whatever was chosen."""
    propensity: FloatArray
    expected: FloatArray
    lower: FloatArray
    upper: FloatArray
    """The chosen arm's mean reward and its credible interval, in the reward's units."""
    canary_percentage: FloatArray
    exploring: BoolArray
    """Whether another arm has the higher expected reward."""
    policy_error: FloatArray
    """How far at most the probabilities are from the policy's own; the propensity is exact."""


def decide(
    experiment: Experiment,
    columns: Columns,
    keys: KeyArray,
    *,
    policy: PolicyName,
    cap: float = CANARY,
    vetoed: BoolArray | None = None,
    level: float = 0.9,
) -> Decisions:
    """Decide for a row a key; `cap` bounds the share off the baseline, `vetoed` is (rows, arms).

    A batch is decided as its rows would be one after the other, each recorded before the next.
    """
    design, rows, baseline = experiment.design, len(keys), experiment.baseline_arm
    contexts = context_rows(design, columns, rows)
    eligible = _eligible(experiment, rows, vetoed)
    beliefs = experiment.posterior.beliefs(contexts)
    draws = uniforms(keys, _DRAWS)
    wanted = choose(beliefs, eligible, draws, policy, design.width_of(policy))
    floored = with_floor(wanted.probability, eligible, design.floor)
    held = within_cap(floored, baseline, _share("cap", cap))
    prices, credits_ = _prices(experiment, contexts)
    held, arms = _drawn(experiment, held, prices, credits_, draws[:, _CHOICE])
    lower, upper = beliefs.interval(_share("level", level))
    greedy = np.where(eligible, beliefs.mean, -np.inf).max(axis=1)
    row = np.arange(rows)
    return Decisions(
        contexts=contexts,
        arms=arms,
        probabilities=held,
        on_baseline=arms == baseline,
        prices=prices[row, arms],
        credits=credits_,
        propensity=held[row, arms],
        expected=in_units(design, beliefs.mean[row, arms]),
        lower=in_units(design, np.maximum(lower[row, arms], 0.0)),
        upper=in_units(design, np.minimum(upper[row, arms], 1.0)),
        canary_percentage=canary_percentage(held, baseline),
        exploring=beliefs.mean[row, arms] < greedy,
        policy_error=wanted.error,
    )


def choose(
    beliefs: Beliefs, eligible: BoolArray, draws: FloatArray, policy: PolicyName, width: float
) -> Chances:
    if policy == "ucb":
        return policies.upper_confidence(beliefs, eligible, width)
    if policy == "thompson":
        return policies.thompson(beliefs, eligible, draws, width)
    raise DesignError(f"there is no policy {policy!r}; choose ucb or thompson")


def _eligible(experiment: Experiment, rows: int, vetoed: BoolArray | None) -> BoolArray:
    allowed = np.repeat(experiment.active()[None], rows, axis=0)
    if vetoed is None:
        return allowed
    if vetoed.shape != allowed.shape:
        raise InvalidColumnError("vetoed", f"has shape {vetoed.shape}, must be {allowed.shape}")
    if held_up := np.flatnonzero(vetoed[:, experiment.baseline_arm]).tolist():
        reason = (
            f"row {held_up[0]}: the baseline {experiment.baseline!r} is vetoed; name another "
            "baseline"
        )
        raise InvalidColumnError("vetoed", reason, held_up)
    return allowed & ~vetoed


def _prices(experiment: Experiment, contexts: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Price every arm in every row; and say what each row pays in before it is decided."""
    budgeted, baseline = experiment.design.budget, experiment.baseline_arm
    shape, free = (len(contexts), len(experiment.arms)), np.zeros(len(contexts))
    if budgeted is None:
        return np.zeros(shape), free
    if budgeted.pricing == "worst_case":
        return budget.worst_prices(*shape, baseline), free
    lower, upper = experiment.posterior.bounds(contexts, budgeted.risk)
    earned = np.maximum(lower[:, baseline], 0.0)
    return budget.bounded_prices(lower, upper, baseline), budgeted.share * earned


def _drawn(
    experiment: Experiment,
    probabilities: FloatArray,
    prices: FloatArray,
    credits_: FloatArray,
    draws: FloatArray,
) -> tuple[FloatArray, IntArray]:
    if (budgeted := experiment.design.budget) is None:
        return probabilities, policies.draw_arms(probabilities, draws)
    return budget.spend_in_turn(
        probabilities, prices, credits_, draws,
        experiment.balance, budgeted.reserve, experiment.baseline_arm,
    )  # fmt: skip


def _share(name: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise DesignError(f"{name} is {value}; it must be a share from 0 to 1")
    return value
