"""The policies that ship for experiments: how much of the traffic may leave the incumbent."""

from safety.limits import Level, Range, Relation
from safety.open_ends import OPEN_INTERVAL
from safety.policy import FamilyPolicy, SafetyPolicy
from safety.recipes import Constant

CANARY_PERCENT = 10.0


def bandit_policy() -> FamilyPolicy:
    """Let an arm leave only with a share of the traffic that is allowed; else the incumbent."""
    return FamilyPolicy(
        inputs=(),
        outputs=("expected_reward", "lower", "upper", "propensity", "canary_percentage"),
        ranges=(
            Range(
                field="canary_percentage",
                low=0,
                high=CANARY_PERCENT,
                level=Level.UNSAFE,
                message="More traffic would leave the incumbent than is allowed.",
            ),
            Range(
                field="propensity",
                low=0,
                high=1,
                above_low=True,
                level=Level.CRITICAL,
                message="An arm with probability 0 cannot have been drawn.",
            ),
        ),
        relations=(_ordered(),),
        fallback=_constants(
            expected_reward=0.0, **OPEN_INTERVAL, propensity=1.0, canary_percentage=0.0
        ),
    )


def feedback_policy() -> FamilyPolicy:
    return FamilyPolicy(
        inputs=(),
        outputs=("expected_reward", "lower", "upper"),
        relations=(_ordered(),),
        fallback=_constants(expected_reward=0.0, **OPEN_INTERVAL),
    )


def evaluation_policy() -> FamilyPolicy:
    return FamilyPolicy(
        inputs=(),
        outputs=("lower", "upper"),
        relations=(_ordered(),),
        fallback=_constants(**OPEN_INTERVAL),
    )


def largest_canary(policy: SafetyPolicy) -> float:
    """Read from a policy the largest share that it lets leave the incumbent.

    A limit that holds at times only counts at all times: an arm is drawn once, and no later clamp
    changes its odds.
    """
    limits = policy.family("bandit").ranges
    highs = [
        limit.high
        for limit in limits
        if limit.field == "canary_percentage"
        and limit.high is not None
        and limit.level is not Level.SAFE
    ]
    return max(min([100.0, *highs]), 0.0) / 100


def _constants(**values: float) -> tuple[Constant, ...]:
    return tuple(Constant(field=name, value=value) for name, value in values.items())


def _ordered() -> Relation:
    return Relation(
        lesser="lower",
        greater="upper",
        level=Level.UNSAFE,
        message="An interval's ends may not cross.",
    )
